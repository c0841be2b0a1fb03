"""Charges: by month and state, what happened to each, and the ones that a person settles."""

import json
from datetime import date

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from clubs import settling
from clubs.admin.pages import STATE_COLORS
from clubs.forms import SettleForm
from clubs.models import Charge, ChargeEvent, ChargeRun, Subscription
from clubs.months import month_of
from common import back_office
from common.back_office import (
    LongList,
    LookOnly,
    expect,
    form_page,
    link,
    moment,
    page_of,
    unbroken,
)
from common.problems import Problem


class MonthFilter(back_office.MonthFilter):
    def newest(self) -> date:
        return month_of(timezone.now())


class EventInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = ChargeEvent
    verbose_name_plural = "What happened"
    fields = ["when", "state_label", "reason", "by"]
    readonly_fields = fields
    ordering = ["id"]
    hide_title = True
    extra = 0

    @admin.display(description="At (UTC)")
    def when(self, event: ChargeEvent) -> str:
        return moment(event.at)

    @display(description="State", label=STATE_COLORS)  # type: ignore[untyped-decorator]
    def state_label(self, event: ChargeEvent) -> str:
        return event.get_state_display()


@admin.register(Charge)
class ChargeAdmin(LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "number",
        "month_name",
        "state_label",
        "subscription_link",
        "request_id",
        "claimed",
        "next_look",
    ]
    list_filter = ["state", MonthFilter]
    list_filter_submit = True
    search_fields = ["request_id__exact", "subscription__id__exact", "customer_id__exact"]
    search_help_text = "A request id, a subscription or a customer"
    ordering = ["-id"]
    fields = [
        "month_name", "state_label", "subscription_link", "request_id", "customer", "sku",
        "answer", "attempts", "claimed", "settled", "next_look",
    ]  # fmt: skip
    readonly_fields = fields
    inlines = [EventInline]
    actions_detail = ["settle"]

    def has_settle_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Of one charge: whether there is something left to settle, too."""
        charge = self.get_object(request, object_id) if object_id else None
        is_open = charge is None or charge.settled_at is None
        return is_open and request.user.has_perm("clubs.settle_charge")

    @admin.display(description="No.", ordering="id")
    def number(self, charge: Charge) -> str:
        return link(Charge, charge.pk, charge.pk)

    @admin.display(description="Month", ordering="period")
    def month_name(self, charge: Charge) -> str:
        return unbroken(charge.month)

    @admin.display(description="Customer")
    def customer(self, charge: Charge) -> str:
        return charge.customer_id

    @admin.display(description="Store SKU")
    def sku(self, charge: Charge) -> str:
        return charge.sku_id

    @admin.display(description="The shop's answer")
    def answer(self, charge: Charge) -> str:
        return "–" if charge.order is None else json.dumps(charge.order, ensure_ascii=False)

    @display(description="State", ordering="state", label=STATE_COLORS)  # type: ignore[untyped-decorator]
    def state_label(self, charge: Charge) -> str:
        return charge.get_state_display()

    @admin.display(description="Subscription", ordering="subscription")
    def subscription_link(self, charge: Charge) -> str:
        return link(Subscription, charge.subscription_id, charge.subscription_id)

    @admin.display(description="Asked for (UTC)", ordering="claimed_at")
    def claimed(self, charge: Charge) -> str:
        return moment(charge.claimed_at)

    @admin.display(description="Settled (UTC)")
    def settled(self, charge: Charge) -> str:
        return moment(charge.settled_at)

    @admin.display(description="Next look (UTC)", ordering="look_again_at")
    def next_look(self, charge: Charge) -> str:
        return moment(charge.look_again_at)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.settle_page)
        return [path("<int:id>/settle/", view, name="clubs_charge_settle"), *super().get_urls()]

    @action(  # type: ignore[untyped-decorator]
        description="Settle by hand", icon="gavel", permissions=["settle"]
    )
    def settle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:clubs_charge_settle", object_id)

    def settle_page(self, request: HttpRequest, id: int) -> HttpResponse:
        expect(self.has_settle_permission(request))
        charge = get_object_or_404(Charge, pk=id)
        form = SettleForm(request.POST or None)
        if form.is_valid():
            try:
                with transaction.atomic():
                    charge = settling.settle(
                        charge_id=id,
                        state=Charge.State(form.cleaned_data["state"]),
                        reason=form.cleaned_data["reason"],
                        by=request.user.get_username(),
                        now=timezone.now(),
                    )
                    text = f"Settled as {charge.state}: {form.cleaned_data['reason']}"
                    self.log_change(request, charge, text)
            except Problem as refused:
                form.add_error(None, refused.detail)
            else:
                messages.success(request, f"{charge}: settled as {charge.state}.")
                return redirect(page_of(Charge, id))
        description = (
            f"Look request {charge.request_id} up at the shop first. If the order is there and the "
            "month is freed all the same, the customer pays twice."
        )
        return form_page(
            self,
            request,
            form,
            title=f"Settle the charge of {charge}",
            description=description,
            button="Settle",
            back=page_of(Charge, id),
        )


@admin.register(ChargeRun)
class ChargeRunAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "__str__", "state_label", "progress", "succeeded", "failed", "unknown", "passed_over",
    ]  # fmt: skip
    list_filter = ["state"]
    fields = [
        "period", "as_of", "state", "reason", "rate", "total", "succeeded", "failed", "unknown",
        "passed_over", "cursor", "started_at", "finished_at",
    ]  # fmt: skip
    readonly_fields = fields

    @display(  # type: ignore[untyped-decorator]
        description="State",
        label={"Running": "warning", "Finished": "success", "Stopped": "danger"},
    )
    def state_label(self, run: ChargeRun) -> str:
        return run.get_state_display()

    @admin.display(description="Done")
    def progress(self, run: ChargeRun) -> str:
        return f"{run.done:,} of {run.total:,}"
