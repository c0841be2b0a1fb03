"""The one writer of achievements: each step is a status, a version and a line of history."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

import wallet.services
from common.problems import NotFound, Problem
from incentives.models import Achievement, AchievementChange
from incentives.models.achievements import OPEN
from wallet.services import Claim

OWNER = "incentives"
REWARD = "incentive_reward"
RULES = "rules"
MEMBER = "member"

Status = Achievement.Status
CHANGING = [
    "status",
    "version",
    "rule",
    "achieved_at",
    "effective_on",
    "days",
    "consent",
    "needs_review",
    "reward",
    "reward_code",
    "coins",
    "cost",
]


class ConsentNotNeeded(Problem):
    status, code, title = 409, "consent-not-needed", "This achievement needs no consent"


class AchievementClosed(Problem):
    status, code, title = 409, "achievement-closed", "This achievement is settled already"


class NotReleased(Problem):
    status, code, title = 409, "not-released", "This achievement is not released now"


def first_steps(achievement: Achievement) -> list[str]:
    """How far something new goes without a person."""
    if achievement.incentive.is_sensitive and not achievement.consent:
        return [Status.PENDING_CONSENT]
    return [Status.GRANTED, *onward(achievement)]


def onward(achievement: Achievement) -> list[str]:
    """What follows by itself once nothing stands in the way."""
    if achievement.coins:
        return [Status.FULFILLED]
    return [Status.RELEASED] if achievement.reward_code else []


def step(
    achievement: Achievement, status: str, *, by: str, now: datetime, note: str = ""
) -> AchievementChange:
    """Move in memory; the caller saves both."""
    achievement.status, achievement.version = status, achievement.version + 1
    return AchievementChange(
        achievement=achievement,
        version=achievement.version,
        status=status,
        at=now,
        by=by,
        note=note[:500],
    )


def move(
    achievement: Achievement, statuses: Iterable[str], *, by: str, now: datetime, note: str = ""
) -> None:
    """Take these steps with a row that the caller holds locked."""
    changes = [step(achievement, each, by=by, now=now, note=note) for each in statuses]
    write([achievement])
    record(changes)


def write(achievements: Iterable[Achievement], *, are_new: bool = False) -> None:
    rows = list(achievements)
    if are_new:
        Achievement.objects.bulk_create(rows)
    elif rows:
        Achievement.objects.bulk_update(rows, CHANGING)


def record(changes: Sequence[AchievementChange]) -> None:
    """Write the history, and post the coins that follow from it."""
    AchievementChange.objects.bulk_create(changes)
    for change in changes:
        if change.status == Status.FULFILLED and change.achievement.coins:
            post(change, change.achievement.coins)


def post(change: AchievementChange, coins: int) -> None:
    achievement = change.achievement
    wallet.services.pay(
        Claim(
            owner=OWNER,
            # Every step is posted once.
            key=f"{achievement.pk}:{change.version}",
            user_id=achievement.user_id,
            amount=coins,
            kind=REWARD,
            reference=str(achievement.pk),
            reason=achievement.reward,
        )
    )


def locked(id: UUID) -> Achievement:
    """Raises NotFound."""
    found = (
        Achievement.objects.select_for_update(of=("self",), no_key=True)
        .select_related("incentive__programme")
        .filter(pk=id)
        .first()
    )
    if found is None:
        raise NotFound()
    return found


@transaction.atomic
def consent(*, id: UUID, user_id: str, is_given: bool, now: datetime) -> Achievement:
    """Release to the partner, or keep back, what is sensitive; the same answer again is fine.

    Raises NotFound (also for another's), ConsentNotNeeded, AchievementClosed.
    """
    achievement = locked(id)
    if achievement.user_id != user_id or achievement.status == Status.CAPPED:
        raise NotFound()
    if not achievement.incentive.is_sensitive:
        raise ConsentNotNeeded()
    if achievement.consent == is_given:
        return achievement
    if achievement.status not in OPEN:
        raise AchievementClosed()
    was_given, achievement.consent = achievement.consent, is_given
    if is_given:
        steps = [Status.GRANTED, *onward(achievement)]
    elif was_given:
        steps = [Status.PENDING_CONSENT]
    else:
        steps = []
    note = "Consent given." if is_given else "Consent withdrawn."
    move(achievement, steps, by=MEMBER, now=now, note=note)
    return achievement


@transaction.atomic
def fulfil(*, id: UUID, is_fulfilled: bool, by: str, now: datetime, note: str = "") -> Achievement:
    """The partner's answer: fulfilled or rejected; the same again is fine.

    Raises NotFound, AchievementClosed for the opposite, NotReleased while it is not the partner's.
    """
    achievement = locked(id)
    status = Status.FULFILLED if is_fulfilled else Status.REJECTED
    if achievement.status == status:
        return achievement
    if achievement.status in (Status.FULFILLED, Status.REJECTED):
        raise AchievementClosed()
    if achievement.status != Status.RELEASED:
        raise NotReleased()
    move(achievement, [status], by=by, now=now, note=note)
    return achievement
