"""A partner with a programme, and achievements in it, as short as tests want them."""

from datetime import UTC, date, datetime
from itertools import count

from django.db import transaction
from django.utils import timezone

from incentives import achievements
from incentives.models import (
    Achievement,
    Employer,
    Incentive,
    Partner,
    Partnership,
    Programme,
    Rule,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
number = count(1)


def make_partner(slug: str = "rewards-co") -> Partner:
    return Partner.objects.create(slug=slug, name=slug.title())


def make_programme(partner: Partner | None = None, *, reference: str = "", **fields) -> Programme:
    employer, _ = Employer.objects.get_or_create(
        slug="acme", defaults={"name": "Acme", "timezone": "America/New_York"}
    )
    named = {"slug": f"pregnancy-help-{next(number)}", "name": "Pregnancy help"}
    programme = Programme.objects.create(
        **{"employer": employer, "starts_on": date(2026, 1, 1), **named, **fields}
    )
    if partner is not None:
        Partnership.objects.create(programme=programme, partner=partner, reference=reference)
    return programme


def make_rule(programme: Programme, *, is_sensitive: bool = False, **fields) -> Rule:
    incentive = Incentive.objects.create(
        programme=programme,
        slug=f"birth-reported-{next(number)}",
        name="A birth",
        is_sensitive=is_sensitive,
    )
    return Rule.objects.create(
        **{
            "incentive": incentive,
            "number": 1,
            "structure": {"structure": "single", "event": "birth_reported"},
            "reward": "A pregnancy pillow",
            "reward_code": "RW-7Q2K",
            "published_at": timezone.now(),
            **fields,
        }
    )


def earn(rule: Rule, user_id: str, *, effective_on: date = date(2026, 11, 19)) -> Achievement:
    """As the rules do: released at once, unless it is sensitive."""
    ordinal = Achievement.objects.filter(user_id=user_id, incentive=rule.incentive).count() + 1
    achievement = Achievement(
        incentive=rule.incentive,
        rule=rule,
        user_id=user_id,
        ordinal=ordinal,
        version=0,
        achieved_at=NOON,
        effective_on=effective_on,
        granted_at=NOON,
        days=[effective_on.isoformat()],
        reward=rule.reward,
        reward_code=rule.reward_code,
        coins=rule.coins,
    )
    with transaction.atomic():
        steps = achievements.first_steps(achievement)
        changes = [achievements.step(achievement, each, by="rules", now=NOON) for each in steps]
        achievements.write([achievement], are_new=True)
        achievements.record(changes)
    return achievement


@transaction.atomic
def take_back(achievement: Achievement) -> None:
    """As a retraction does."""
    held = achievements.locked(achievement.pk)
    achievements.move(held, [Achievement.Status.REVERSED], by="rules", now=NOON)
