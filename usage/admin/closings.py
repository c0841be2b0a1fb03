"""Closings: looked up, and made with a form."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from common.back_office import LookOnly, expect, form_page
from common.problems import Problem
from usage import services
from usage.forms import ClosingForm
from usage.models import Closing


@admin.register(Closing)
class ClosingAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["months", "closed_at", "closed_by"]
    fields = ["months", "closed_at", "closed_by"]
    readonly_fields = fields

    @admin.display(description="Months")
    def months(self, closing: Closing) -> str:
        return str(closing)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("usage.close_bill")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        expect(self.has_add_permission(request))
        form = ClosingForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            by = request.user.get_username()
            try:
                closing = services.close_months(
                    period=form.cleaned_data["period"],
                    now=timezone.now(),
                    by=by,
                    tries=services.TRIES_OF_STAFF,
                )
            except Problem as refused:
                form.add_error(None, refused.detail)
            else:
                self.say(request, closing)
                return redirect("admin:usage_closing_changelist")
        return form_page(
            self,
            request,
            form,
            title="Close months",
            description="The bills of a closed month never change again, those of all customers:"
            " usage that is reported later goes on the current bill. This cannot be undone.",
            button="Close months",
            back=reverse("admin:usage_closing_changelist"),
        )

    def say(self, request: HttpRequest, closing: Closing | None) -> None:
        if closing is None:
            messages.info(request, "Closed before: nothing changed.")
        else:
            self.log_addition(request, closing, "Closed.")
            messages.success(request, f"Closed: {closing}.")
