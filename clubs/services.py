"""Who subscribes, and every decision about a subscription or a club: the writers of histories."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from clubs.models import (
    AUTOMATIC_RETURN,
    ChangeQuerySet,
    Club,
    ClubStatus,
    ClubStatusChange,
    RemovedChange,
    Status,
    StatusChange,
    Subscription,
)
from common.problems import NotFound, Problem
from common.uuid7 import uuid7

SUBSCRIPTION_ID = re.compile(r"[0-9A-Za-z-]{1,36}")
CLUB_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
LARGEST_ID = 2**63 - 1

# Decisions about one subscription or club are taken one after the other, so the moment of each is
# read when it is its turn: read earlier, the second could be recorded as the first.
Clock = Callable[[], datetime]


class ClubNotActive(Problem):
    status, code, title = 409, "club-not-active", "The club takes nobody in at the moment"


class AlreadySubscribed(Problem):
    status, code, title = 409, "already-subscribed", "This customer is in this club already"


class SubscriptionCancelled(Problem):
    status, code = 409, "subscription-cancelled"
    title = "The subscription is cancelled, and what is cancelled cannot be paused"


class Overlap(Problem):
    status, code = 409, "overlaps-another-decision"
    title = "Another decision is due before this pause would end"


@transaction.atomic
def subscribe(
    *, club_id: int, customer_id: str, id: str = "", clock: Clock = timezone.now
) -> Subscription:
    """A new active subscription, by default with a new id.

    Raises NotFound, ClubNotActive or AlreadySubscribed.
    """
    # Nobody closes the club meanwhile (clubs_lock_clubs); others may subscribe.
    club = Club.objects.raw("SELECT * FROM club WHERE id = %s FOR SHARE", [club_id])
    if not list(club):
        raise NotFound()
    now = clock()
    if club_status(club_id, at=now) != ClubStatus.ACTIVE:
        raise ClubNotActive()
    subscription = Subscription(
        id=id or str(uuid7()), club_id=club_id, customer_store_id=customer_id, create_date=now
    )
    try:
        with transaction.atomic():
            subscription.save(force_insert=True)
    except IntegrityError:
        first = Subscription.objects.filter(club=club_id, customer_store_id=customer_id).first()
        if first is None:
            raise
        raise AlreadySubscribed(subscription_id=first.pk) from None
    StatusChange.objects.create(
        subscription=subscription, status_id=Status.ACTIVE, effect_date=now, create_date=now
    )
    return subscription


@transaction.atomic
def change_status(
    *,
    subscription_id: str,
    status_id: int,
    effect_date: datetime | None = None,
    interval: int | None = None,
    details: str | None = None,
    clock: Clock = timezone.now,
) -> tuple[Subscription, datetime]:
    """Record a decision that takes effect at `effect_date`, by default now; returns its moment too.

    `interval`, in days, plans the end of a pause. What an earlier decision had only planned may go
    for it; nothing recorded changes. Raises NotFound, SubscriptionCancelled, Overlap or
    ClubNotActive.
    """
    subscription = (
        Subscription.objects.select_for_update(no_key=True).filter(pk=subscription_id).first()
    )
    if subscription is None:
        raise NotFound()
    now = clock()
    effect = effect_date or now
    history = StatusChange.objects.filter(subscription=subscription)
    removed = superseded(history, status_id, effect, now)
    match status_id:
        case Status.PAUSED:
            if Status.CANCELLED in (status_at(history, now), status_at(history, effect)):
                raise SubscriptionCancelled()
            if interval is not None:
                expect_room(history, removed, effect, interval)
        case Status.ACTIVE:
            if Status.CANCELLED in (status_at(history, now), status_at(history, effect)):
                expect_active_club(subscription.club_id, at=max(now, effect))
    decisions = [
        StatusChange(
            subscription=subscription,
            status_id=status_id,
            effect_date=effect,
            create_date=now,
            details=details,
        )
    ]
    if interval is not None:
        decisions.append(
            StatusChange(
                subscription=subscription,
                status_id=Status.ACTIVE,
                effect_date=effect + timedelta(days=interval),
                create_date=now,
                details=AUTOMATIC_RETURN,
            )
        )
    decision, *_ = StatusChange.objects.bulk_create(decisions)
    remove(removed, by=decision, now=now)
    return subscription, now


def superseded(
    history: ChangeQuerySet, status_id: int, effect: datetime, now: datetime
) -> list[StatusChange]:
    """What was only planned and has no place beside this decision."""
    planned = list(
        history.filter(effect_date__gt=now, effect_date__gte=effect).order_by(
            "effect_date", "create_date", "id"
        )
    )
    is_end = status_id == Status.CANCELLED
    return [
        change
        for change in planned
        if (is_end and change.effect_date > effect)
        or (change.is_automatic_return and has_begun(history, change, effect))
    ]


def has_begun(history: ChangeQuerySet, planned_return: StatusChange, at: datetime) -> bool:
    """Whether the pause that this return ends has begun by then.

    Its pause is the last one before it: no pause is accepted that reaches past another decision.
    """
    pauses = history.filter(status=Status.PAUSED, effect_date__lt=planned_return.effect_date)
    begin = pauses.order_by("-effect_date").values_list("effect_date", flat=True).first()
    return begin is not None and begin <= at


def status_at(history: ChangeQuerySet, at: datetime) -> int | None:
    return history.until(at).values_list("status_id", flat=True).first()


def expect_room(
    history: ChangeQuerySet,
    removed: list[StatusChange],
    effect: datetime,
    interval: int,
) -> None:
    others = history.filter(
        effect_date__gt=effect, effect_date__lte=effect + timedelta(days=interval)
    ).exclude(pk__in=[change.pk for change in removed])
    if other := others.order_by("effect_date").first():
        raise Overlap(f"The next decision takes effect at {other.effect_date.isoformat()}.")


def expect_active_club(club_id: int, *, at: datetime) -> None:
    # Nobody closes it meanwhile.
    list(Club.objects.raw("SELECT * FROM club WHERE id = %s FOR SHARE", [club_id]))
    if club_status(club_id, at=at) != ClubStatus.ACTIVE:
        raise ClubNotActive()


def remove(changes: list[StatusChange], *, by: StatusChange, now: datetime) -> None:
    if not changes:
        return
    RemovedChange.objects.bulk_create(
        RemovedChange(
            subscription_id=change.subscription_id,
            change_id=change.pk,
            status_id=change.status_id,
            effect_date=change.effect_date or now,  # what has none is never removed
            create_date=change.create_date,
            details=change.details,
            removed_at=now,
            removed_by_id=by.pk,
        )
        for change in changes
    )
    StatusChange.objects.filter(pk__in=[change.pk for change in changes]).delete()


def club_status(club_id: int, *, at: datetime) -> int | None:
    decisions = ClubStatusChange.objects.filter(club=club_id).until(at)
    return decisions.values_list("club_status_id", flat=True).first()


@transaction.atomic
def change_club_status(
    *,
    club_id: int,
    status_id: int,
    effect_date: datetime | None = None,
    details: str | None = None,
    clock: Clock = timezone.now,
) -> ClubStatusChange:
    """Record a decision about a club, by default from now. Raises NotFound."""
    # Whoever is subscribing now does so before it.
    if not Club.objects.select_for_update(no_key=True).filter(pk=club_id).exists():
        raise NotFound()
    now = clock()
    return ClubStatusChange.objects.create(
        club_id=club_id,
        club_status_id=status_id,
        effect_date=effect_date or now,
        create_date=now,
        details=details,
    )


def save_club(club: Club) -> None:
    """Its name and what it sends; whether it is open is decided apart."""
    club.save()
