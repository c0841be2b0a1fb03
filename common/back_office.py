"""What pages share: history is only looked at, moments, days and bars look alike."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from unfold.contrib.filters.admin import RangeDateFilter


class LookOnly:
    """Only the services write: no form, no button and no direct POST does."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def moment(at: datetime | None, *, has_seconds: bool = False) -> str:
    """For a column, in UTC, on one line."""
    if at is None:
        return "–"
    return unbroken(f"{at:%Y-%m-%d %H:%M:%S}" if has_seconds else f"{at:%Y-%m-%d %H:%M}")


def unbroken(text: str) -> str:
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


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


def bar_data(labels: Sequence[Any], series: Mapping[str, Sequence[float]], *colours: str) -> str:
    """For unfold's bar charts: series by name beside each other, in colours of the theme."""
    bars = [
        {"label": name, "data": data, "backgroundColor": f"var(--color-{colour})"}
        for (name, data), colour in zip(series.items(), colours, strict=False)
    ]
    return json.dumps({"labels": labels, "datasets": bars})


def bar_options(
    *, has_legend: bool = False, is_stacked: bool = False, is_count: bool = True
) -> str:
    """For unfold's bar charts, whose own options show no axis and halve what cannot be halved."""
    ink = "#9ca3af"  # to be read on white and in the dark
    amounts = {"color": ink, "precision": 0} if is_count else {"color": ink}
    options = {
        "animation": False,
        "maintainAspectRatio": False,
        "datasets": {"bar": {"borderRadius": 2, "maxBarThickness": 32}},
        "plugins": {
            "legend": {
                "display": has_legend,
                "position": "bottom",
                "labels": {"boxWidth": 12, "color": ink},
            }
        },
        "scales": {
            "x": {
                "stacked": is_stacked,
                "grid": {"display": False},
                "ticks": {"color": ink, "maxRotation": 0},
            },
            "y": {"stacked": is_stacked, "beginAtZero": True, "ticks": amounts},
        },
    }
    return json.dumps(options)
