"""Programmes, members and events, quicker than through the API."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from incentives import evaluation, log
from incentives.models import (
    Achievement,
    Eligibility,
    Employer,
    Incentive,
    Programme,
    Progress,
    Rule,
    Waiting,
)
from incentives.programmes import publish_programme, publish_rule

STREAK = {"structure": "consecutive_days", "event": "health_data_logged", "days": 5}
BIRTH = {"structure": "single", "event": "birth_reported"}
OWNER = "api:tests"
FIRST = date(2026, 1, 1)


def employer(slug: str = "acme", zone: str = "America/New_York") -> Employer:
    found, _ = Employer.objects.get_or_create(
        slug=slug, defaults={"name": slug.title(), "timezone": zone}
    )
    return found


def programme(slug: str = "healthy-start", **changes: Any) -> Programme:
    said = {"name": slug, "starts_on": FIRST, "ends_on": date(2027, 12, 31), **changes}
    said.setdefault("employer", employer())
    return Programme.objects.create(slug=slug, **said)


def offer(
    structure: dict[str, Any] | None = None,
    *,
    slug: str = "five-day-streak",
    within: Programme | None = None,
    is_sensitive: bool = False,
    **terms: Any,
) -> Incentive:
    """A published incentive with one version."""
    within = within or Programme.objects.filter(slug="healthy-start").first() or programme()
    incentive = Incentive.objects.create(
        programme=within, slug=slug, name=slug, is_sensitive=is_sensitive
    )
    version(incentive, structure or STREAK, **terms)
    publish_programme(programme=within, now=timezone.now())
    within.refresh_from_db()
    return incentive


def version(
    incentive: Incentive,
    structure: dict[str, Any],
    *,
    now: datetime | None = None,
    **terms: Any,
) -> Rule:
    if terms.get("repeat") == "every":
        terms.setdefault("max_per_member", 100)
    terms.setdefault("reward", "Pillow")
    number = incentive.rules.count() + 1
    rule = Rule.objects.create(incentive=incentive, number=number, structure=structure, **terms)
    return publish_rule(rule=rule, by=None, now=now or timezone.now())


def member(user_id: str, slug: str = "acme", **changes: Any) -> None:
    Eligibility.objects.create(
        employer=employer(slug), user_id=user_id, **{"starts_on": date(2025, 1, 1), **changes}
    )
    # As if seen to already: what a test lets happen then is counted one by one, not all anew.
    Waiting.objects.filter(user_id=user_id, event=None).delete()


def happened(
    user_id: str,
    at: datetime | str,
    kind: str = "health_data_logged",
    *,
    id: str | None = None,
    zone: str = "",
    **data: Any,
) -> str:
    """Take one event in; its id."""
    id = id or uuid4().hex
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    report = log.Report(id, user_id, kind, when, zone, log.as_text(data))
    log.record(owner=OWNER, reports=[report])
    return id


def noon(day: int, month: int = 6) -> datetime:
    """A time of 2026 that is the same day in most zones."""
    return datetime(2026, month, 1, 16, tzinfo=UTC) + timedelta(days=day - 1)


def logged(user_id: str, days: Iterable[int]) -> list[str]:
    return [happened(user_id, noon(day)) for day in days]


def retracted(*ids: str) -> None:
    for id in ids:
        log.retract(owner=OWNER, event_id=id, now=timezone.now())


def work(now: datetime | None = None) -> None:
    """What the workers do until nobody waits."""
    now = now or timezone.now()
    while evaluation.evaluate_all(now=now, deadline=float("inf")):
        pass
    assert not Waiting.objects.exists()


def awards(user_id: str, slug: str | None = None) -> list[Achievement]:
    found = Achievement.objects.filter(user_id=user_id).order_by("incentive", "ordinal")
    return list(found.filter(incentive__slug=slug) if slug else found)


def picture(user_id: str) -> dict[str, Any]:
    """All that the events of a user amount to, without when it was worked out."""
    progress = Progress.objects.filter(user_id=user_id).order_by("incentive")
    earned = Achievement.objects.filter(user_id=user_id).exclude(status="reversed")
    return {
        "progress": list(
            progress.values_list(
                "incentive", "rule", "state", "reached", "first_at", "latest_at", "last_counted_on"
            )
        ),
        "awards": list(
            earned.order_by("incentive", "ordinal").values_list(
                "incentive", "ordinal", "rule", "achieved_at", "effective_on", "days", "status"
            )
        ),
    }


def recounted(user_id: str) -> dict[str, Any]:
    """The same from nothing but the log."""
    Waiting.objects.create(user_id=user_id)
    work()
    return picture(user_id)
