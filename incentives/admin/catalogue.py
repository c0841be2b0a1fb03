"""Event types and employers."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from incentives.catalogue import validate_schema
from incentives.models import Employer, EventType


class EventTypeForm(forms.ModelForm):  # type: ignore[type-arg]
    data_schema = forms.JSONField(
        required=False,
        initial=dict,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text="JSON Schema of an event's data; {} takes any object.",
        validators=[validate_schema],
    )

    class Meta:
        model = EventType
        fields = "__all__"  # noqa: DJ007

    def clean_data_schema(self) -> Any:
        return self.cleaned_data["data_schema"] or {}


@admin.register(EventType)
class EventTypeAdmin(ModelAdmin):  # type: ignore[misc]
    form = EventTypeForm
    list_display = ["slug", "label", "sensitivity_label"]
    list_filter = ["sensitivity"]
    search_fields = ["slug", "label"]

    @display(  # type: ignore[untyped-decorator]
        description="Sensitivity",
        ordering="sensitivity",
        label={"ordinary": "success", "health": "warning", "intimate": "danger"},
    )
    def sensitivity_label(self, kind: EventType) -> str:
        return kind.sensitivity

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Employer)
class EmployerAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["slug", "name", "timezone"]
    search_fields = ["slug", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # Another zone would move everybody's days.
        return ["slug", "timezone"] if obj else []
