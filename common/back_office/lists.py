"""What lists share: they are looked at, found in and narrowed, and never read as a whole."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.paginator import InfinitePaginator

from common.identity import canonical_user_id

MONTHS = 24


class LookOnly:
    """Only the services write: no form, no button and no direct POST does."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LongList:
    """Of a table that grows for ever: to count it would take longer than to read a page of it."""

    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER


class OfUsers:
    """Of rows with a `user_id`: found by the whole of it, which an index knows, in any spelling."""

    search_fields = ["user_id__exact"]
    search_help_text = "A user id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            queryset = queryset.filter(user_id=canonical_user_id(term) or term)
        return queryset, False


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


class MonthFilter(admin.SimpleListFilter):
    """The months that staff look at, reckoned: to look them up would read every row."""

    title, parameter_name = "month", "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        months = [self.newest()]
        while len(months) < MONTHS:
            months.append((months[-1] - timedelta(days=1)).replace(day=1))
        return [(f"{month:%Y-%m}", f"{month:%Y-%m}") for month in months]

    def newest(self) -> date:
        return timezone.now().date().replace(day=1)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            return queryset.filter(period=date.fromisoformat(f"{self.value()}-01"))
        except ValueError:
            return queryset


def how_many(rows: QuerySet[Any], *, of: str) -> Coalesce:
    """How many `rows` are each one's, for `annotate`; several of them joined would multiply."""
    own = rows.filter(**{of: OuterRef("pk")}).order_by().values(of)
    return Coalesce(Subquery(own.annotate(many=Count("pk")).values("many")), 0)


def moment(at: datetime | None, *, has_seconds: bool = False) -> str:
    """For a column, in UTC, on one line."""
    if at is None:
        return "–"
    return unbroken(f"{at:%Y-%m-%d %H:%M:%S}" if has_seconds else f"{at:%Y-%m-%d %H:%M}")


def unbroken(text: str) -> str:
    return format_html('<span class="whitespace-nowrap">{}</span>', text)
