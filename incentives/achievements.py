"""The one writer of achievements: each step is a status, a version and a line of history."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

import wallet.services
from common.problems import NotFound, Problem
from incentives import ledger
from incentives.models import Achievement, AchievementChange, Programme
from incentives.models.achievements import OPEN
from incentives.purse import Purse
from wallet.services import Claim

OWNER = "incentives"
REWARD = "incentive_reward"
RULES = "rules"
MEMBER = "member"

Status = Achievement.Status


class ConsentNotNeeded(Problem):
    status, code, title = 409, "consent-not-needed", "This achievement needs no consent"


class AchievementClosed(Problem):
    status, code, title = 409, "achievement-closed", "This achievement is settled already"


class NothingToSettle(Problem):
    status, code, title = 409, "nothing-to-settle", "Nobody doubts this achievement"


class NotReleased(Problem):
    status, code, title = 404, "not-released", "This achievement is not released now"


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
    before = achievement.status
    achievement.status, achievement.version = status, achievement.version + 1
    was_paid, is_paid = before == Status.FULFILLED, status == Status.FULFILLED
    return AchievementChange(
        achievement=achievement,
        version=achievement.version,
        status=status,
        coins=achievement.coins * (is_paid - was_paid),
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
    if are_new:
        ledger.add(achievements)
    else:
        ledger.change(achievements)


def record(changes: Sequence[AchievementChange]) -> None:
    """Write the history, and post the coins that follow from it."""
    ledger.record(changes)
    for change in changes:
        if change.coins:
            post(change)


def post(change: AchievementChange) -> None:
    achievement = change.achievement
    wallet.services.pay(
        Claim(
            owner=OWNER,
            # Every step is posted once.
            key=f"{achievement.pk}:{change.version}",
            user_id=achievement.user_id,
            amount=change.coins,
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
    note = "Consent given."
    if not is_given:
        note = "Consent withdrawn." if achievement.consent else "Consent refused."
    achievement.consent = is_given
    move(achievement, first_steps(achievement), by=MEMBER, now=now, note=note)
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


@transaction.atomic
def keep(*, id: UUID, by: str, note: str, now: datetime) -> Achievement:
    """Staff let the member have what the log no longer says. Raises NothingToSettle."""
    achievement = in_doubt(id)
    achievement.needs_review, achievement.is_kept = False, True
    move(achievement, [achievement.status], by=by, now=now, note=note)
    return achievement


@transaction.atomic
def reverse(*, id: UUID, by: str, note: str, now: datetime) -> Achievement:
    """Staff take back what was fulfilled already, its coins too. Raises NothingToSettle.

    With the wallet in this process it also raises InsufficientFunds: the coins are spent.
    """
    achievement = in_doubt(id)
    achievement.needs_review = False
    move(achievement, [Status.REVERSED], by=by, now=now, note=note)
    purse = Purse({achievement.incentive_id})
    purse.give_back(achievement)
    purse.close()
    return achievement


def in_doubt(id: UUID) -> Achievement:
    achievement = locked(id)
    if not achievement.needs_review or achievement.status != Status.FULFILLED:
        raise NothingToSettle()
    return achievement


@transaction.atomic
def grant_capped(*, programme: Programme, by: str, now: datetime) -> int:
    """Grant what was earned when nothing was left, the earliest first; how many there was for."""
    waiting = list(
        Achievement.objects.select_for_update(of=("self",), no_key=True)
        .select_related("incentive", "rule")
        .filter(incentive__programme=programme, status=Status.CAPPED, needs_review=False)
        .order_by("achieved_at", "pk")
    )
    purse = Purse({each.incentive_id for each in waiting})
    granted = [each for each in waiting if purse.take(each, each.rule.max_awards)]
    purse.close()
    changes = []
    for each in granted:
        each.granted_at = now
        changes += [step(each, status, by=by, now=now) for status in first_steps(each)]
    write(granted)
    record(changes)
    return len(granted)
