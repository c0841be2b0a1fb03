"""The forms of the back office."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from clubs.models import LONGEST_DETAILS, Charge, Club, ClubStatus, Status
from clubs.serializers import EARLIEST, LATEST, LONGEST_INTERVAL

# Nothing is decided by a form that was only opened and sent.
TO_CHOOSE = ("", "Choose…")


def club_statuses() -> list[tuple[int, str]]:
    return [(number, name.capitalize()) for number, name in ClubStatus.NAMES.items()]


class EffectDate(forms.SplitDateTimeField):
    def __init__(self) -> None:
        super().__init__(
            label="From",
            required=False,
            help_text="UTC; now, when left open.",
            widget=UnfoldAdminSplitDateTimeWidget,
        )

    def clean(self, value: Any) -> datetime | None:
        at: datetime | None = super().clean(value)
        if at is not None and not EARLIEST <= at < LATEST:
            raise forms.ValidationError("From 1900 to 2999.")
        return at.astimezone(UTC) if at else None


def details() -> forms.CharField:
    return forms.CharField(
        max_length=LONGEST_DETAILS, required=False, widget=UnfoldAdminTextInputWidget
    )


class ClubForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Club
        fields = ["name", "store_sku"]


class NewClubForm(ClubForm):
    status_id = forms.TypedChoiceField(
        label="Status from now on",
        coerce=int,
        choices=club_statuses(),
        widget=UnfoldAdminSelectWidget,
    )

    class Meta(ClubForm.Meta):
        fields = [*ClubForm.Meta.fields]


class ClubStatusForm(forms.Form):
    status_id = forms.TypedChoiceField(
        label="Status",
        coerce=int,
        choices=[TO_CHOOSE, *club_statuses()],
        widget=UnfoldAdminSelectWidget,
    )
    effect_date = EffectDate()
    details = details()


class StatusForm(forms.Form):
    status_id = forms.TypedChoiceField(
        label="Status",
        coerce=int,
        choices=[
            TO_CHOOSE,
            *((number, name.capitalize()) for number, name in Status.NAMES.items()),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    effect_date = EffectDate()
    interval = forms.IntegerField(
        label="Days until it returns",
        required=False,
        min_value=1,
        max_value=LONGEST_INTERVAL,
        help_text="For a pause only; without it the pause has no end.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    details = details()

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if said.get("interval") and said.get("status_id") != Status.PAUSED:
            self.add_error("interval", "Only a pause has one.")
        return said


class SettleForm(forms.Form):
    state = forms.ChoiceField(
        label="What became of it",
        choices=[
            TO_CHOOSE,
            (Charge.State.SUCCEEDED.value, "The shop has the order: it is charged"),
            (Charge.State.FAILED.value, "The shop has no order: the month is free again"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(
        max_length=400,
        help_text="How you know. It stays with the charge, with your name.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
