"""The form that asks why a use is reversed."""

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget


class ReversalForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        help_text="It is kept together with your name.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
