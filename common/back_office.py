"""What pages about history share: nothing is written from them, and days are chosen by range."""

from datetime import UTC, datetime, time
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from unfold.contrib.filters.admin import RangeDateFilter


class LookOnly:
    """Only the services write: no form, no button and no direct POST does."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


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
