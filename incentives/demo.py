"""The demo world: an employer whose programme nobody is in yet, and one with a past."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from incentives import demo_history
from incentives.models import Employer, Incentive, Programme, Rule
from incentives.partners import demo as partners
from incentives.programmes import publish_programme, publish_rule

INCENTIVES = [
    {
        "slug": "five-day-streak",
        "name": "Five days in a row",
        "is_sensitive": False,
        "structure": {
            "structure": "consecutive_days",
            "event": "health_data_logged",
            "days": 5,
        },
        "reward": "Pregnancy pillow",
        "reward_code": "RW-7Q2K",
        "cost": 45,
    },
    {
        "slug": "birth-reported",
        "name": "A birth",
        "is_sensitive": True,
        "structure": {"structure": "single", "event": "birth_reported"},
        "reward": "Newborn gift box",
        "reward_code": "RW-M4XD",
        "cost": 80,
    },
]
MORE = {
    "slug": "thirty-days",
    "name": "Thirty days in all",
    "is_sensitive": False,
    "structure": {"structure": "distinct_days", "event": "health_data_logged", "days": 30},
    "reward": "Massage voucher",
    "reward_code": "RW-P3VN",
    "cost": 60,
}


def load() -> bool:
    if Programme.objects.filter(slug="healthy-start").exists():
        return False
    now = timezone.now()
    employer, _ = Employer.objects.get_or_create(
        slug="acme", defaults={"name": "Acme", "timezone": "America/New_York"}
    )
    offer(employer, INCENTIVES, slug="healthy-start", name="Healthy start", now=now)
    partners.load()
    past(now)
    return True


def past(now: datetime) -> None:
    """Of people of their own, so that whoever tries acme's programme finds it untouched."""
    employer, is_new = Employer.objects.get_or_create(
        slug="northwind", defaults={"name": "Northwind", "timezone": "Europe/Berlin"}
    )
    if is_new:
        begins = (now - demo_history.LENGTH).replace(hour=0, minute=0, second=0, microsecond=0)
        programme = offer(
            employer,
            [*INCENTIVES, MORE],
            slug="steady-steps",
            name="Steady steps",
            now=begins,
            currency="EUR",
            budget=6000,
        )
        demo_history.make(programme, since=begins)


def offer(
    employer: Employer, incentives: list[dict[str, Any]], *, now: datetime, **said: Any
) -> Programme:
    """A programme from a year ago to a year ahead, published with all of its rules."""
    year = timedelta(days=365)
    programme = Programme.objects.create(
        employer=employer, starts_on=now.date() - year, ends_on=now.date() + year, **said
    )
    for incentive in incentives:
        terms = dict(incentive)
        names = {name: terms.pop(name) for name in ("slug", "name", "is_sensitive")}
        rule = Rule.objects.create(
            incentive=Incentive.objects.create(programme=programme, **names), number=1, **terms
        )
        publish_rule(rule=rule, by=None, now=now)
    publish_programme(programme=programme, now=now)
    return programme
