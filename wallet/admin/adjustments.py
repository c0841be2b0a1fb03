"""Adjustments: asked for with a form, decided on with two buttons."""

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from common.back_office import DayRange, OfUsers, expect, form_page, link, page_of
from common.problems import Problem
from wallet import adjustments
from wallet.admin.pages import LookOnly, signed
from wallet.forms import AdjustmentForm
from wallet.models import Account, Adjustment


@admin.register(Adjustment)
class AdjustmentAdmin(OfUsers, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "requested_at",
        "user_id",
        "signed_amount",
        "reason",
        "state_label",
        "requested_by",
        "decided_by",
    ]
    list_filter = ["state", ("requested_at", DayRange)]
    list_filter_submit = True
    list_select_related = ["requested_by", "decided_by"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["user", "signed_amount", "reason", "corrects"]}),
        (
            "Decision",
            {
                "fields": [
                    "state_label",
                    "requested_by",
                    "requested_at",
                    "decided_by",
                    "decided_at",
                    "entry",
                ]
            },
        ),
    ]
    readonly_fields = ["user", "signed_amount", "state_label"]

    @admin.display(description="Amount", ordering="amount")
    def signed_amount(self, adjustment: Adjustment) -> str:
        return signed(adjustment.amount)

    @display(  # type: ignore[untyped-decorator]
        description="State",
        ordering="state",
        label={"Waiting": "warning", "Posted": "success", "Rejected": "danger"},
    )
    def state_label(self, adjustment: Adjustment) -> str:
        return adjustment.get_state_display()

    @admin.display(description="User")
    def user(self, adjustment: Adjustment) -> str:
        if not Account.objects.filter(pk=adjustment.user_id).exists():
            return adjustment.user_id
        return link(Account, adjustment.user_id, adjustment.user_id)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return (
            super().has_view_permission(request, obj)
            or self.has_ask_permission(request)
            or self.has_decide_permission(request)
        )

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_ask_permission(request)

    def get_urls(self) -> list[URLPattern]:
        decisions = [
            path(
                f"<uuid:id>/{verb}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"wallet_adjustment_{verb}",
            )
            for verb, view in [("approve", self.approve), ("reject", self.reject)]
        ]
        return [*decisions, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        expect(self.has_add_permission(request))
        form = AdjustmentForm(request.POST or None, initial=request.GET.dict())
        if form.is_valid():
            try:
                return self.asked(request, form.cleaned_data)
            except Problem as refused:
                form.add_error(None, refused.detail)
        return form_page(
            self,
            request,
            form,
            title="Adjust a balance",
            description=f"Up to {settings.WALLET_ADJUSTMENT_LIMIT:,} coins are posted at once. "
            "A larger adjustment waits until somebody else approves it.",
            button="Adjust",
            back=reverse("admin:wallet_adjustment_changelist"),
        )

    def asked(self, request: HttpRequest, said: dict[str, Any]) -> HttpResponse:
        with transaction.atomic():
            adjustment, is_new = adjustments.ask_for_adjustment(
                **said, by=cast("User", request.user), now=timezone.now()
            )
            if is_new:
                self.log_addition(request, adjustment, "Asked for.")
        if not is_new:
            messages.info(request, "This form was sent before: it is still one adjustment.")
        elif adjustment.entry_id:
            messages.success(request, f"Posted: {adjustment}.")
        else:
            messages.warning(request, f"{adjustment} waits until somebody else approves it.")
        return redirect(page_of(Adjustment, adjustment.pk))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"may_decide": self.has_decide_permission(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]

    def approve(self, request: HttpRequest, id: UUID) -> HttpResponse:
        return self.decide(request, id, adjustments.approve_adjustment, "Approved")

    def reject(self, request: HttpRequest, id: UUID) -> HttpResponse:
        return self.decide(request, id, adjustments.reject_adjustment, "Rejected")

    def decide(
        self, request: HttpRequest, id: UUID, decision: Callable[..., Adjustment], word: str
    ) -> HttpResponse:
        expect(self.has_decide_permission(request))
        try:
            with transaction.atomic():
                adjustment = decision(id=id, by=request.user, now=timezone.now())
                self.log_change(request, adjustment, f"{word}.")
            messages.success(request, f"{word}: {adjustment}.")
        except Problem as refused:
            messages.error(request, refused.detail)
        return redirect(page_of(Adjustment, id))
