"""Accounts and entries: to be found, read and exported."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import action

from common.back_office import DayRange, LongList, expect, link, moment
from common.identity import canonical_user_id
from common.spreadsheet import download
from wallet.admin.pages import LookOnly, ask, signed
from wallet.export import csv_lines
from wallet.models import Account, Entry


class EntryColumns:
    @admin.display(description="No.", ordering="id")
    def number(self, entry: Entry) -> str:
        return link(Entry, entry.pk, entry.pk)

    @admin.display(description="Created at (UTC)", ordering="created_at")
    def moment(self, entry: Entry) -> str:
        return moment(entry.created_at, has_seconds=True)

    @admin.display(description="Amount", ordering="amount")
    def signed_amount(self, entry: Entry) -> str:
        return signed(entry.amount)


class EntryInline(EntryColumns, LookOnly, TabularInline):  # type: ignore[misc]
    model = Entry
    fk_name = "account"
    fields = [
        "number",
        "moment",
        "signed_amount",
        "balance_after",
        "kind",
        "reference",
        "reason",
    ]
    readonly_fields = fields
    ordering = ["-version"]
    per_page = 20
    hide_title = True


class KindFilter(TextFilter):  # type: ignore[misc]
    """Typed, not chosen: whoever posts names kinds of its own, and only all entries know them."""

    title, parameter_name = "kind", "kind"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        kind = (self.value() or "").strip()
        return queryset.filter(kind=kind) if kind else queryset


@admin.register(Account)
class AccountAdmin(LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["user_id", "balance", "entries"]
    search_fields = ["user_id__startswith"]
    search_help_text = "A user id or its beginning"
    fields = ["user_id", "balance", "entries"]
    readonly_fields = fields
    inlines = [EntryInline]
    actions_detail = ["adjust"]

    @admin.display(description="Entries", ordering="version")
    def entries(self, account: Account) -> int:
        return account.version

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Account], search_term: str
    ) -> tuple[QuerySet[Account], bool]:
        term = search_term.strip().lower()  # UUIDs are stored in lower case
        return super().get_search_results(request, queryset, term)  # type: ignore[no-any-return]

    @action(  # type: ignore[untyped-decorator]
        description="Adjust this balance", icon="edit_note", permissions=["ask"]
    )
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return ask(user_id=object_id)


@admin.register(Entry)
class EntryAdmin(EntryColumns, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "number",
        "moment",
        "user",
        "signed_amount",
        "balance_after",
        "kind",
        "reference",
        "reason",
    ]
    list_filter = [KindFilter, ("created_at", DayRange)]
    list_filter_submit = True
    list_fullwidth = True
    search_fields = ["account", "reference"]  # exactly, as get_search_results says
    search_help_text = "A user id or a reference"
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": ["user", "signed_amount", "kind", "reason", "reference", "created_at"]}),
        ("In the ledger", {"fields": ["version", "balance_after", "counterparty"]}),
        ("Corrections", {"fields": ["corrects", "corrected_by"]}),
        ("Origin", {"fields": ["owner", "idempotency_key"]}),
    ]
    readonly_fields = ["user", "signed_amount", "corrected_by"]
    actions_detail = ["correct"]

    @admin.display(description="User", ordering="account")
    def user(self, entry: Entry) -> str:
        return link(Account, entry.account_id, entry.account_id)

    @admin.display(description="Corrected by")
    def corrected_by(self, entry: Entry) -> str:
        found = entry.corrections.first()
        return link(Entry, found.pk, found) if found else "-"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Entry], search_term: str
    ) -> tuple[QuerySet[Entry], bool]:
        if term := search_term.strip():
            is_users = Q(account=canonical_user_id(term) or term)
            queryset = queryset.filter(is_users | Q(reference=term))
        return queryset, False

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        return [path("export/", export, name="wallet_entry_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """What the list shows with these filters, all pages of it."""
        expect(self.has_view_permission(request))
        found = self.get_changelist_instance(request).get_queryset(request)
        return download("entries", csv_lines(found))

    @action(  # type: ignore[untyped-decorator]
        description="Correct this entry", icon="undo", permissions=["ask"]
    )
    def correct(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = self.get_object(request, object_id)
        if entry is None:
            return redirect("admin:wallet_entry_changelist")
        return ask(user_id=entry.account_id, amount=-entry.amount, corrects=entry.pk)
