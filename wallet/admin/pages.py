"""What the wallet's pages share: nothing is written from them, and they lead to each other."""

from datetime import UTC, datetime, time
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.contrib.filters.admin import RangeDateFilter


class LookOnly:
    """Only the services write: no form, no button and no direct POST does."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # By name: Unfold looks a "wallet.…" up in the database, in a system check, before `migrate`.
    def has_ask_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("wallet.adjust_balance")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("wallet.approve_adjustment")


class DayRange(RangeDateFilter):  # type: ignore[misc]
    """From one day to another, both included; days are UTC."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if first := self.day("from", time.min):
            queryset = queryset.filter(**{f"{self.field_path}__gte": first})
        if last := self.day("to", time.max):
            queryset = queryset.filter(**{f"{self.field_path}__lte": last})
        return queryset

    def day(self, end: str, at: time) -> datetime | None:
        try:
            day = parse_date(self.used_parameters.get(f"{self.field_path}_{end}") or "")
        except ValueError:
            return None
        return datetime.combine(day, at, UTC) if day else None


def page_of(kind: str, key: object) -> str:
    return reverse(f"admin:wallet_{kind}_change", args=[key])


def link(kind: str, key: object, text: object) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', page_of(kind, key), text)


def ask(**start: str | int) -> HttpResponse:
    return redirect(f"{reverse('admin:wallet_adjustment_add')}?{urlencode(start)}")


def signed(amount: int) -> str:
    return f"{amount:+,d}"
