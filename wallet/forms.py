"""The form that asks for an adjustment."""

import uuid

from django import forms
from unfold.widgets import (
    UnfoldAdminBigIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from common.identity import canonical_user_id
from wallet.models import LARGEST_AMOUNT


class AdjustmentForm(forms.Form):
    """Carries the id it was made with: sent twice, it is still one adjustment."""

    id = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput)
    user_id = forms.CharField(label="User id", widget=UnfoldAdminTextInputWidget)
    amount = forms.IntegerField(
        min_value=-LARGEST_AMOUNT,
        max_value=LARGEST_AMOUNT,
        help_text="Coins; negative takes them away.",
        widget=UnfoldAdminBigIntegerFieldWidget,
    )
    reason = forms.CharField(
        max_length=500,
        strip=False,
        help_text="The user sees it beside the amount.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    corrects = forms.IntegerField(
        label="Corrects entry",
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="The number of the entry that this makes good, if there is one.",
        widget=UnfoldAdminBigIntegerFieldWidget,
    )

    def clean_user_id(self) -> str:
        user_id = canonical_user_id(self.cleaned_data["user_id"])
        if user_id is None:
            raise forms.ValidationError("A UUID or a BigInt from 1 to 2^63-1.")
        return user_id

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if amount == 0:
            raise forms.ValidationError("An amount of 0 moves nothing.")
        return amount

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if not reason.strip():
            raise forms.ValidationError("A reason is required.")
        return reason
