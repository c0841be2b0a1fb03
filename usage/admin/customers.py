"""Customers: made and renamed here, never deleted."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline

from common.back_office import LookOnly, anchor, link
from usage import services
from usage.admin.pages import money
from usage.models import Bill, Customer, first_of_month, month_text


class BillInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = Bill
    fields = ["month", "amount", "currency", "state"]
    readonly_fields = fields
    ordering = ["-period"]
    per_page = 12
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bill]:
        return super().get_queryset(request).with_status()  # type: ignore[no-any-return]

    @admin.display(description="Month")
    def month(self, bill: Bill) -> str:
        return link(Bill, bill.pk, month_text(bill.period))

    @admin.display(description="Total")
    def amount(self, bill: Bill) -> str:
        return money(bill.total)

    @admin.display(description="Status")
    def state(self, bill: Any) -> str:
        return "Closed" if bill.is_closed else "Open"


@admin.register(Customer)
class CustomerAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["id", "name", "this_month", "records"]
    list_display_links = ["id", "name"]
    search_fields = ["=id", "name"]
    search_help_text = "A name or an id"
    show_full_result_count = False
    fields = ["name"]
    inlines = [BillInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        now = first_of_month(timezone.now())
        bill = Bill.objects.filter(customer=OuterRef("pk"), period=now)
        found: QuerySet[Customer] = super().get_queryset(request)
        return found.annotate(spent=Subquery(bill.values("total")))

    def get_inlines(self, request: HttpRequest, obj: Customer | None) -> list[Any]:
        return self.inlines if obj else []

    @admin.display(description="This month")
    def this_month(self, customer: Any) -> str:
        return "-" if customer.spent is None else money(customer.spent)

    @admin.display(description="Records")
    def records(self, customer: Customer) -> str:
        url = f"{reverse('admin:usage_usagerecord_changelist')}?customer={customer.pk}"
        return anchor(url, "Records")

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
        else:
            obj.pk = services.create_customer(name=obj.name).pk
