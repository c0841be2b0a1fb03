"""The demo world: an employer, a programme around today, two incentives."""

from datetime import timedelta

from django.utils import timezone

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


def load() -> bool:
    if Programme.objects.filter(slug="healthy-start").exists():
        return False
    now = timezone.now()
    year = timedelta(days=365)
    employer, _ = Employer.objects.get_or_create(
        slug="acme", defaults={"name": "Acme", "timezone": "America/New_York"}
    )
    programme = Programme.objects.create(
        slug="healthy-start",
        name="Healthy start",
        employer=employer,
        starts_on=now.date() - year,
        ends_on=now.date() + year,
    )
    for incentive in INCENTIVES:
        said = dict(incentive)
        names = {name: said.pop(name) for name in ("slug", "name", "is_sensitive")}
        rule = Rule.objects.create(
            incentive=Incentive.objects.create(programme=programme, **names), number=1, **said
        )
        publish_rule(rule=rule, by=None, now=now)
    publish_programme(programme=programme, now=now)
    partners.load()
    return True
