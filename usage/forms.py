"""The forms of the back office: close months, take a record back."""

from datetime import date

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from usage.reading import read_month


class ClosingForm(forms.Form):
    period = forms.CharField(
        label="Month",
        required=False,
        help_text="YYYY-MM. Left open: every month before the current one.",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "month"}),
    )

    def clean_period(self) -> date | None:
        text = self.cleaned_data["period"].strip()
        try:
            return read_month(text) if text else None
        except ValueError:
            raise forms.ValidationError("A month: YYYY-MM.") from None


class CorrectionForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        help_text="It stays with the correction.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
