"""How a venue does: its best benefits, its days and its silences, to be seen at a glance."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from benefits import idleness, popularity
from benefits.idleness import Period
from benefits.models import Benefit, BenefitUsage, Venue
from benefits.recurrence import WINDOW, Recurrence
from common.back_office import bar_data, bar_options, expect, own_page


@dataclass(frozen=True)
class Bar:
    """A stretch of the window; where it lies in it and how long, in percent."""

    left: str
    width: str
    words: str


@dataclass(frozen=True)
class Row:
    """One benefit on the time line; `idle_days` when it lies idle now."""

    benefit: Benefit
    how_often: str
    unborn: Bar | None
    silences: list[Bar]
    idle_days: int
    is_used: bool


def performance_page(admin: ModelAdmin, request: HttpRequest, venue_id: int) -> HttpResponse:
    expect(admin.has_view_permission(request))
    venue = get_object_or_404(Venue, pk=venue_id)
    now = timezone.now()
    uses = BenefitUsage.objects.filter(benefit=OuterRef("pk"), usage_timestamp__lte=now)
    offered = venue.benefits.annotate(is_used=Exists(uses))
    benefits = {each.pk: each for each in offered.order_by("title", "id")}
    best = popularity.top_of(venue.pk, now=now)
    days = uses_by_day(venue, now)
    silences = dict(idleness.inactivity(venue=venue.pk, now=now))
    rows = [row(each, silences.get(each.pk, []), now) for each in benefits.values()]
    best_bars = [
        {
            "title": benefits[each.benefit_id].title,
            "uses": f"{each.uses:,}",
            "width": percent(each.uses / best[0].uses),
        }
        for each in best
    ]
    uses_list = reverse("admin:benefits_benefitusage_changelist")
    return own_page(
        admin,
        request,
        "admin/benefits/performance.html",
        title=f"How {venue} does",
        original=venue,
        uses=f"{sum(days.values()):,}",
        benefit_count=len(benefits),
        idle_now=[each for each in rows if each.idle_days],
        best=best_bars,
        chart=chart(days),
        chart_options=bar_options(),
        busiest=max(days.items(), key=lambda each: each[1]),
        rows=rows,
        months=months(now),
        may_change=admin.has_change_permission(request, venue),
        may_see_uses=request.user.has_perm("benefits.view_benefitusage"),
        uses_url=f"{uses_list}?benefit__venue__id__exact={venue.pk}",
    )


def uses_by_day(venue: Venue, now: datetime) -> dict[Any, int]:
    """Of every UTC day that the window touches; the first and the last as far as they are in it."""
    uses = BenefitUsage.objects.filter(
        benefit__venue=venue, usage_timestamp__gte=now - WINDOW, usage_timestamp__lte=now
    )
    days = uses.values_list(TruncDate("usage_timestamp", tzinfo=UTC)).annotate(Count("pk"))
    found = dict(days.order_by())
    first, last = (moment.astimezone(UTC).date() for moment in (now - WINDOW, now))
    touched = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return {day: found.get(day, 0) for day in touched}


def chart(days: dict[Any, int]) -> str:
    labels = [f"{day:%-d %b}" for day in days]
    return bar_data(labels, {"Uses": list(days.values())}, "primary-500")


def row(benefit: Any, periods: list[Period], now: datetime) -> Row:
    start = now - WINDOW
    born = min(benefit.created_at, now)
    is_young = born > start
    return Row(
        benefit=benefit,
        how_often=Recurrence(benefit.recurrence).how_often,
        unborn=bar(Period(start, born), now, "not offered yet") if is_young else None,
        silences=[bar(each, now, "nobody used it") for each in periods],
        idle_days=(now - periods[-1].since).days if periods and periods[-1].until == now else 0,
        is_used=benefit.is_used,
    )


def bar(period: Period, now: datetime, words: str) -> Bar:
    since, until = period
    days = (until - since).days
    length = f"{days} day{'s' if days != 1 else ''}"
    return Bar(
        left=percent((since - (now - WINDOW)) / WINDOW),
        width=percent((until - since) / WINDOW),
        words=f"{since:%-d %b} to {until:%-d %b}, {length}: {words}",
    )


def months(now: datetime) -> list[dict[str, str]]:
    """The first of each month inside the window, for the scale."""
    first = (now - WINDOW).astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    marks = []
    while (first := (first + timedelta(days=31)).replace(day=1)) <= now:
        left = (first - (now - WINDOW)) / WINDOW
        if left < 0.97:  # no room for its name
            marks.append({"left": percent(left), "name": f"{first:%b}"})
    return marks


def percent(share: float) -> str:
    """For CSS, whatever the language."""
    return f"{100 * share:.2f}%"
