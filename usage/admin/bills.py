"""Bills: to be read with their lines and a chart, closed and exported."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from common.back_office import LookOnly, MonthFilter, bar_options, expect, link
from common.problems import Problem
from common.spreadsheet import download
from usage import services
from usage.admin.pages import money, units
from usage.export import lines_of_bills
from usage.models import Bill, BillLine, Customer, month_text
from usage.spending import chart_of


class LineInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = BillLine
    fields = ["service", "price", "units", "sum", "records"]
    readonly_fields = fields
    ordering = ["service", "price_per_unit"]
    per_page = 50
    hide_title = True

    @admin.display(description="Price per unit")
    def price(self, line: BillLine) -> str:
        return money(line.price_per_unit)

    @admin.display(description="Units")
    def units(self, line: BillLine) -> str:
        return units(line.units_consumed)

    @admin.display(description="Amount")
    def sum(self, line: BillLine) -> str:
        return money(line.amount)


class StatusFilter(admin.SimpleListFilter):
    title, parameter_name = "status", "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "open" | "closed" as status:
                return queryset.filter(is_closed=status == "closed")
        return queryset


class WarningFilter(admin.SimpleListFilter):
    title, parameter_name = "warning", "warning"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("two-prices", "One service at two prices")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(has_two_prices=True) if self.value() else queryset


@admin.register(Bill)
class BillAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["number", "customer_link", "month", "amount", "currency", "state", "warning"]
    list_filter = [StatusFilter, WarningFilter, MonthFilter]
    list_select_related = ["customer"]
    search_fields = ["=customer__id", "customer__name"]
    search_help_text = "A customer's name or id"
    show_full_result_count = False
    ordering = ["-period", "customer_id"]
    fields = ["customer_link", "month", "amount", "currency", "state", "warnings"]
    readonly_fields = fields
    inlines = [LineInline]
    actions = ["close_months"]
    change_form_template = "admin/usage/bill/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bill]:
        return super().get_queryset(request).with_status().with_warnings()  # type: ignore[no-any-return]

    @admin.display(description="No.", ordering="id")
    def number(self, bill: Bill) -> str:
        return link(Bill, bill.pk, bill.pk)

    @admin.display(description="Customer", ordering="customer__name")
    def customer_link(self, bill: Bill) -> str:
        return link(Customer, bill.customer_id, bill.customer)

    @admin.display(description="Month", ordering="period")
    def month(self, bill: Bill) -> str:
        return month_text(bill.period)

    @admin.display(description="Total", ordering="total")
    def amount(self, bill: Bill) -> str:
        return money(bill.total)

    @display(  # type: ignore[untyped-decorator]
        description="Status", label={"Open": "info", "Closed": "success"}
    )
    def state(self, bill: Any) -> str:
        return "Closed" if bill.is_closed else "Open"

    @display(description="Warning", label={"Two prices": "warning"})  # type: ignore[untyped-decorator]
    def warning(self, bill: Any) -> str | None:
        return "Two prices" if bill.has_two_prices else None

    @admin.display(description="Warnings")
    def warnings(self, bill: Bill) -> str:
        """Which services, and at which prices."""
        prices: dict[str, list[str]] = {}
        for line in bill.lines.order_by("service", "price_per_unit"):
            prices.setdefault(line.service, []).append(money(line.price_per_unit))
        said = (
            f"{'Two' if len(each) == 2 else len(each)} prices: {service} at {' and '.join(each)}."
            for service, each in prices.items()
            if len(each) > 1
        )
        return " ".join(said) or "–"

    def has_close_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usage.close_bill")

    @admin.action(description="Close the months of these bills", permissions=["close"])
    def close_months(self, request: HttpRequest, queryset: QuerySet[Bill]) -> None:
        """Of these and all other customers: a month is closed as a whole."""
        by, now = request.user.get_username(), timezone.now()
        for month in sorted(set(queryset.values_list("period", flat=True))):
            try:
                closing = services.close_months(
                    period=month, now=now, by=by, tries=services.TRIES_OF_STAFF
                )
            except services.NoGap as refused:
                # They stand in the way of every month: to ask for the next is to wait again.
                messages.error(request, f"{month_text(month)}: {refused.detail}")
                break
            except Problem as refused:
                messages.error(request, refused.detail)
                continue
            word = "was closed before" if closing is None else "is closed, for all customers"
            messages.success(request, f"{month_text(month)} {word}.")

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        return [path("export/", export, name="usage_bill_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """The lines of what the list shows with these filters, all pages of it."""
        expect(self.has_view_permission(request))
        found = self.get_changelist_instance(request).get_queryset(request)
        return download("bills", lines_of_bills(found))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context: dict[str, Any] = {}
        bill = self.get_object(request, object_id)
        if bill is not None and self.has_view_permission(request, bill):
            context = {
                "chart": json.dumps(chart_of(bill)),
                "chart_options": bar_options(has_legend=True, is_stacked=True, is_count=False),
                "month": month_text(bill.period),
            }
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]
