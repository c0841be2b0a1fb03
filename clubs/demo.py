"""Clubs and subscriptions in every state there is, with a year behind them, counted from today."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone

from clubs import services
from clubs.eligibility import uncharged
from clubs.models import Charge, ChargeEvent, Club, ClubStatus, Status, Subscription
from clubs.months import month_of
from clubs.runs import request_id_of
from common.problems import Problem

DAY = timedelta(days=1)
A_YEAR = 365
CUSTOMERS = 8  # a club, of whom some come later
CLUBS = [
    ("Craft Beer Club", "BEER-CRAFT-6", []),
    ("Natural Wine Club", "WINE-NATURAL-3", []),
    ("Single Origin Coffee", "COFFEE-SO-500", [(ClubStatus.CLOSED, -60)]),
    ("Cider Season", "CIDER-12", [(ClubStatus.CLOSED, -30), (ClubStatus.INACTIVE, 20)]),
    ("Mead Circle", "MEAD-2", [(ClubStatus.INACTIVE, -45)]),
    ("Hot Sauce Guild", "SAUCE-4", [(ClubStatus.CLOSED, 45)]),
    ("Tea Society", None, []),
]
# Their customers meet the moods of the shop's stand-in.
MOODY = ["card-refuse", "network-die", "server-fail"]


def load() -> bool:
    if Club.objects.filter(name=CLUBS[0][0]).exists():
        return False
    # Always the same, seen from today.
    chance = random.Random(20)  # noqa: S311
    now = timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for name, sku, decisions in CLUBS:
        club = Club.objects.create(name=name, store_sku=sku)
        start = now - A_YEAR * DAY
        decide_club(club, ClubStatus.ACTIVE, start, now)
        closes = min([days for _, days in decisions if days < 0], default=0)
        for number in range(CUSTOMERS):
            joined = start + (A_YEAR + closes - 5) * DAY * chance.random()
            made = subscribe(club, some_id(chance), joined, some_id(chance))
            live(made, joined, number, now, chance)
        for status, days in decisions:
            decide_club(club, status, now + days * DAY, now)
    first = Club.objects.get(name=CLUBS[0][0])
    for customer in MOODY:
        subscribe(first, customer, now - 40 * DAY, some_id(chance))
    bill(now)
    return True


def decide_club(club: Club, status: int, at: datetime, now: datetime) -> None:
    services.change_club_status(
        club_id=club.pk, status_id=status, effect_date=at, clock=lambda: min(at, now)
    )


def some_id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def subscribe(club: Club, customer: str, at: datetime, id: str) -> Subscription:
    return services.subscribe(club_id=club.pk, customer_id=customer, id=id, clock=lambda: at)


def live(
    subscription: Subscription, joined: datetime, number: int, now: datetime, chance: random.Random
) -> None:
    """What people do with a subscription, one of eight lives."""

    def decide(status: int, days: float, interval: int | None = None, planned: float = 0) -> None:
        at = now + days * DAY
        if at <= joined:
            return
        services.change_status(
            subscription_id=subscription.pk,
            status_id=status,
            effect_date=at + planned * DAY,
            interval=interval,
            clock=lambda: at,
        )

    try:
        match number % 8:
            case 0:  # on holiday, and back by itself
                decide(Status.PAUSED, -100, interval=chance.choice([14, 30]))
            case 1:  # paused at the moment, comes back
                decide(Status.PAUSED, -10, interval=30)
            case 2:  # paused without an end
                decide(Status.PAUSED, -chance.randint(20, 90))
            case 3:  # left
                decide(Status.CANCELLED, -chance.randint(15, 200))
            case 4:  # paused, and left before the end: the return is gone
                decide(Status.PAUSED, -20, interval=60)
                decide(Status.CANCELLED, -5)
            case 5:  # will pause, and come back
                decide(Status.PAUSED, -3, interval=21, planned=15)
            case 6:  # will leave
                decide(Status.CANCELLED, -2, planned=25)
            # The eighth simply stays.
    except Problem:
        return  # a life too short for it


def bill(now: datetime) -> None:
    """The months gone by, charged as they were; this one is left to be charged for real."""
    firsts = [month_of(now)]
    while len(firsts) < 7:
        firsts.insert(0, month_of(datetime.combine(firsts[0], datetime.min.time(), UTC) - DAY))
    charges: list[Charge] = []
    for first in firsts[:-1]:
        at = datetime.combine(first, datetime.min.time(), UTC) + timedelta(days=1, hours=6)
        ids = uncharged(at=at, month=first, after="", limit=1000)
        found = Subscription.objects.select_related("club").filter(pk__in=ids).order_by("pk")
        for subscription in found.exclude(club__store_sku=None):
            is_unknown = first == firsts[-2] and len(charges) % 17 == 0
            charges.append(charge_of(subscription, first, at, is_unknown=is_unknown))
    Charge.objects.bulk_create(charges)
    ChargeEvent.objects.bulk_create(event for charge in charges for event in events_of(charge))


def charge_of(subscription: Subscription, first: date, at: datetime, *, is_unknown: bool) -> Charge:
    return Charge(
        subscription=subscription,
        period=first,
        request_id=request_id_of(subscription.pk, first),
        customer_id=subscription.customer_store_id,
        sku_id=str(subscription.club.store_sku),
        state=Charge.State.UNKNOWN if is_unknown else Charge.State.SUCCEEDED,
        order=None if is_unknown else {"order_id": f"order-{at:%Y%m}-{subscription.pk[-6:]}"},
        claimed_at=at,
        settled_at=None if is_unknown else at,
        # The last attempts told nothing: this one is for somebody to settle by hand.
        attempts=7 if is_unknown else 1,
        look_again_at=timezone.now() + 20 * DAY if is_unknown else None,
    )


def events_of(charge: Charge) -> Iterator[ChargeEvent]:
    is_unknown = charge.state == Charge.State.UNKNOWN
    reason = "No answer from the shop: timeout" if is_unknown else ""
    for state, why in [(Charge.State.CLAIMED, ""), (charge.state, reason)]:
        yield ChargeEvent(charge=charge, at=charge.claimed_at, state=state, reason=why, by="run")
