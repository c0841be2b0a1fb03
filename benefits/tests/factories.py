"""Venues, persons and uses as outsiders load them: plain rows, at instants around one now."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.test import APIClient

from benefits.models import Benefit, BenefitUsage, Person, Venue

NOW = datetime(2026, 7, 1, tzinfo=UTC)
W0 = datetime(2026, 1, 2, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)

Json = Any


def instant(text: str) -> datetime:
    """`06-30T12:00` is in the year of NOW."""
    full = text if text[:2] == "20" else f"2026-{text}"
    parsed = datetime.fromisoformat(full)
    return parsed.replace(tzinfo=parsed.tzinfo or UTC)


def benefit(
    recurrence: str = "day",
    *,
    venue: Venue | None = None,
    title: str = "Coffee",
    created_at: datetime = LONG_AGO,
) -> Benefit:
    venue = venue or Venue.objects.create(name="Library")
    return Benefit.objects.create(
        venue=venue, title=title, recurrence=recurrence, created_at=created_at
    )


def person(name: str = "Alice") -> Person:
    return Person.objects.create(name=name)


def used(benefit: Benefit, *instants: datetime | str, by: Person | None = None) -> None:
    by = by or Person.objects.first() or person()
    moments = [instant(each) if isinstance(each, str) else each for each in instants]
    BenefitUsage.objects.bulk_create(
        BenefitUsage(person=by, benefit=benefit, usage_timestamp=each) for each in moments
    )


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def record(client: APIClient, benefit: Benefit | int, who: Person | int, **more: Any) -> Any:
    """`record(client, coffee, alice, usageTimestamp=…, key=…)`"""
    key = more.pop("key", None)
    number = benefit if isinstance(benefit, int) else benefit.pk
    body = {"personId": who if isinstance(who, int) else who.pk, **more}
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/api/v1/benefits/{number}/usages/", body, format="json", headers=headers)
