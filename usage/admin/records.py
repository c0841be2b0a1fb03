"""Records: found by customer, team and key, exported, and taken back."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action

from common.back_office import (
    DayRange,
    LongList,
    LookOnly,
    MonthFilter,
    expect,
    form_page,
    link,
    moment,
    page_of,
)
from common.identity import LARGEST_BIGINT
from common.models import ApiKey
from common.problems import Problem
from common.spreadsheet import download
from usage import corrections
from usage.admin.pages import money, units
from usage.export import lines_of_records
from usage.forms import CorrectionForm
from usage.models import Bill, Customer, UsageRecord, month_text

NOBODYS = "-"


class TeamFilter(admin.SimpleListFilter):
    """Those who have an API key: to look through all records for names would take long."""

    title, parameter_name = "team", "team"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        keys = ApiKey.objects.filter(scopes__contains=["usage.write"])
        teams = keys.order_by("owner").values_list("owner", flat=True).distinct()
        return [*((team, team) for team in teams), (NOBODYS, "Staff and SQL")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord]
    ) -> QuerySet[UsageRecord]:
        team = self.value()
        if team is None:
            return queryset
        return queryset.filter(owner="" if team == NOBODYS else team)


class CorrectionFilter(admin.SimpleListFilter):
    title, parameter_name = "correction", "correction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Corrections")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord]
    ) -> QuerySet[UsageRecord]:
        return queryset.filter(corrects__isnull=False) if self.value() else queryset


@admin.register(UsageRecord)
class RecordAdmin(LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "number",
        "moment",
        "customer_link",
        "service",
        "units",
        "price",
        "sum",
        "month",
        "team",
    ]
    list_filter = [TeamFilter, CorrectionFilter, MonthFilter, ("recorded_at", DayRange)]
    list_filter_submit = True
    list_fullwidth = True
    list_select_related = ["customer"]
    search_fields = ["customer", "idempotency_key"]  # exactly, as get_search_results says
    search_help_text = "A customer's id or an idempotency key"
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": ["customer_link", "service", "units", "price", "sum", "moment"]}),
        ("On the bill", {"fields": ["bill_link", "late"]}),
        ("Corrections", {"fields": ["corrects_link", "corrected_by", "reason"]}),
        ("Origin", {"fields": ["team", "idempotency_key", "created_at"]}),
    ]
    readonly_fields = [
        "customer_link",
        "moment",
        "units",
        "price",
        "sum",
        "bill_link",
        "late",
        "corrects_link",
        "corrected_by",
        "team",
    ]
    actions_detail = ["correct"]

    @admin.display(description="No.", ordering="id")
    def number(self, record: UsageRecord) -> str:
        return link(UsageRecord, record.pk, record.pk)

    @admin.display(description="Used at (UTC)")
    def moment(self, record: UsageRecord) -> str:
        return moment(record.recorded_at, has_seconds=True)

    @admin.display(description="Customer")
    def customer_link(self, record: UsageRecord) -> str:
        return link(Customer, record.customer_id, record.customer)

    @admin.display(description="Units")
    def units(self, record: UsageRecord) -> str:
        return units(record.units_consumed)

    @admin.display(description="Price")
    def price(self, record: UsageRecord) -> str:
        return money(record.price_per_unit)

    @admin.display(description="Amount")
    def sum(self, record: UsageRecord) -> str:
        return money(record.amount)

    @admin.display(description="Bill")
    def month(self, record: UsageRecord) -> str:
        late = f" (for {month_text(record.late_for)})" if record.late_for else ""
        return f"{month_text(record.period)}{late}"

    @admin.display(description="Bill")
    def bill_link(self, record: UsageRecord) -> str:
        bill = Bill.objects.get(customer=record.customer_id, period=record.period)
        return link(Bill, bill.pk, month_text(record.period))

    @admin.display(description="Late for")
    def late(self, record: UsageRecord) -> str:
        return month_text(record.late_for) if record.late_for else "-"

    @admin.display(description="Corrects")
    def corrects_link(self, record: UsageRecord) -> str:
        return link(UsageRecord, record.corrects_id, record.corrects) if record.corrects else "-"

    @admin.display(description="Corrected by")
    def corrected_by(self, record: UsageRecord) -> str:
        found = record.corrections.first()
        return link(UsageRecord, found.pk, found) if found else "-"

    @admin.display(description="Team")
    def team(self, record: UsageRecord) -> str:
        return record.owner or "-"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "customer" or super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], search_term: str
    ) -> tuple[QuerySet[UsageRecord], bool]:
        if term := search_term.strip():
            found = Q(idempotency_key=term)
            if term.isascii() and term.isdecimal() and int(term[:20]) <= LARGEST_BIGINT:
                found |= Q(customer=int(term[:20]))
            queryset = queryset.filter(found)
        return queryset, False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("export/", view(self.export), name="usage_usagerecord_export"),
            path("<int:id>/take-back/", view(self.take_back), name="usage_usagerecord_take_back"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """What the list shows with these filters, all pages of it."""
        expect(self.has_view_permission(request))
        found = self.get_changelist_instance(request).get_queryset(request)
        return download("records", lines_of_records(found))

    def has_correct_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("usage.correct_usagerecord")

    @action(  # type: ignore[untyped-decorator]
        description="Take this record back", icon="undo", permissions=["correct"]
    )
    def correct(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:usage_usagerecord_take_back", object_id)

    def take_back(self, request: HttpRequest, id: int) -> HttpResponse:
        expect(self.has_correct_permission(request))
        record = UsageRecord.objects.filter(pk=id).first() if id <= LARGEST_BIGINT else None
        if record is None:
            raise Http404
        form = CorrectionForm(request.POST or None)
        if form.is_valid():
            try:
                made = corrections.correct_record(
                    id=id,
                    owner=corrections.STAFF,
                    key=f"correction-of-{id}",
                    reason=form.cleaned_data["reason"],
                    now=timezone.now(),
                )
            except Problem as refused:
                form.add_error(None, refused.detail)
            else:
                if not made.is_replay:
                    self.log_change(request, record, "Taken back.")
                messages.success(request, f"Taken back: {record}.")
                return redirect(page_of(UsageRecord, made.id))
        description = (
            f"{record.service} for {record.customer}: {units(record.units_consumed)} units at"
            f" {money(record.price_per_unit)}, {money(record.amount)} in all, reported by"
            f" {record.owner or 'staff'}. A new record takes all of it back, on the bill of its"
            " month or, if that is closed, on the current one."
        )
        return form_page(
            self,
            request,
            form,
            title="Take the record back",
            description=description,
            button="Take the record back",
            back=page_of(UsageRecord, id),
        )
