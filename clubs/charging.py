"""One order for each subscription and month: the claim, the call, and what is made of its outcome.

The claim is committed before the shop is called, so a crash leaves a month that is held and not a
second order. What nobody knows stays `unknown` until the shop, asked again for the same request id,
or a person has said what became of it.
"""

import logging
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from clubs import shop
from clubs.eligibility import is_eligible
from clubs.models import Charge, ChargeEvent, Subscription
from clubs.months import month_of
from clubs.services import Clock
from clubs.shop import Answer, Outcome, ShopNotConfigured
from common.problems import NotFound, Problem

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
# After the n-th attempt in a row that told nothing; the last one for ever.
WAITS = [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)]
# Beyond the shop's timeout: to send, and to write down what came back.
MARGIN = timedelta(seconds=3)


class NotEligible(Problem):
    status, code = 409, "subscription-not-eligible"
    title = "Only an active subscription of an active or closed club is charged"


class ClubWithoutSku(Problem):
    status, code, title = 409, "club-without-sku", "The club has nothing to order"


class RequestIdTaken(Problem):
    status, code, title = 422, "request-id-reused", "This request id is another subscription's"


class InProgress(Problem):
    status, code, title = 409, "charge-in-progress", "This month is being charged at the moment"


class OutcomeUnknown(Problem):
    status, code = 409, "charge-outcome-unknown"
    title = "Nobody knows yet whether this month's order was placed; ask with its own request id"


class ShopRefused(Problem):
    status, code, title = 502, "shop-refused", "The shop placed no order"


class ShopOutcomeUnknown(Problem):
    status, code = 504, "shop-outcome-unknown"
    title = "The shop did not say whether it placed the order; the month is held"


class AlreadySettled(Problem):
    status, code = 409, "already-settled"
    title = "This charge is settled already, or still under way"


@dataclass(frozen=True)
class Charged:
    """A charge that succeeded.

    `was_called` if this call asked the shop, `has_placed` if that placed the order.
    """

    charge: Charge
    was_called: bool
    has_placed: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "subscription_id": self.charge.subscription_id,
            "request_id": self.charge.request_id,
            "period": self.charge.month,
            "state": self.charge.state,
            "charged": self.has_placed,
            "order": self.charge.order,
        }


def charge(
    *,
    subscription_id: str,
    request_id: str,
    by: str = "API",
    as_of: datetime | None = None,
    clock: Clock = timezone.now,
) -> Charged:
    """Charge the month of `as_of`, by default of now, unless it was. In no transaction of others.

    With `as_of` it must have been eligible then, too. Raises the problems above.
    """
    claimed, is_to_be_called = claim(subscription_id, request_id, by, as_of, clock)
    if not is_to_be_called:
        return Charged(claimed, was_called=False, has_placed=False)
    return call_shop(claimed, by, clock)


def claim(
    subscription_id: str, request_id: str, by: str, as_of: datetime | None, clock: Clock
) -> tuple[Charge, bool]:
    """The charge that answers, and whether it is ours to call the shop for."""
    try:
        with transaction.atomic(durable=True):
            # After whoever decides about the subscription, or charges it.
            lock = Subscription.objects.select_for_update(no_key=True, of=("self",))
            subscription = lock.select_related("club").filter(pk=subscription_id).first()
            if subscription is None:
                raise NotFound()
            now = clock()
            period = month_of(as_of or now)
            known, holding = known_charges(subscription, request_id, period)
            if holding is None:
                expect_chargeable(subscription, now, as_of or now)
                fresh = known or Charge(subscription=subscription, request_id=request_id)
                return begin(fresh, subscription, period, by, now), True
            if holding.state == Charge.State.SUCCEEDED:
                return holding, False
            return resume(holding, request_id, by, now), True
    except IntegrityError:
        # Another subscription's claim with this request id came first, which no lock of ours saw.
        if Charge.objects.filter(request_id=request_id).exists():
            raise RequestIdTaken() from None
        raise


def known_charges(
    subscription: Subscription, request_id: str, period: date
) -> tuple[Charge | None, Charge | None]:
    """The charge with this request id, and the one that answers: it, or the one of the month."""
    of_month = Q(subscription=subscription, period=period) & ~Q(state=Charge.State.FAILED)
    found = Charge.objects.select_for_update().filter(Q(request_id=request_id) | of_month)
    known = holding = None
    for charge in found:
        if charge.request_id == request_id:
            known = charge
        else:
            holding = charge
    if known is not None and known.subscription_id != subscription.pk:
        raise RequestIdTaken()
    if known is not None and known.state != Charge.State.FAILED:
        return known, known
    return known, holding


def expect_chargeable(subscription: Subscription, *moments: datetime) -> None:
    if not is_eligible(subscription, *moments):
        raise NotEligible()
    if not subscription.club.store_sku:
        raise ClubWithoutSku()
    if not shop.is_configured():
        raise ShopNotConfigured()


def begin(
    charge: Charge, subscription: Subscription, period: date, by: str, now: datetime
) -> Charge:
    is_known = charge.pk is not None
    charge.period, charge.claimed_at, charge.settled_at = period, now, None
    charge.customer_id = subscription.customer_store_id
    charge.sku_id = str(subscription.club.store_sku)
    charge.state, charge.look_again_at = Charge.State.CLAIMED, now + lease()
    charge.attempts = charge.attempts + 1 if is_known else 1
    charge.is_declined = False
    charge.save()
    note(charge, charge.state, "", by, now)
    return charge


def resume(charge: Charge, request_id: str, by: str, now: datetime) -> Charge:
    """Ask again what became of it: the same order, under the same request id."""
    if charge.state == Charge.State.CLAIMED and now < charge.look_again_at:  # type: ignore[operator]
        raise InProgress()
    if charge.request_id != request_id:
        raise OutcomeUnknown(charge_request_id=charge.request_id)
    if not shop.is_configured():
        raise ShopNotConfigured()
    if charge.state == Charge.State.CLAIMED:  # nobody will hear any more what that attempt was told
        charge.silent_attempts += 1
    charge.state, charge.look_again_at = Charge.State.CLAIMED, now + lease()
    charge.attempts += 1
    charge.is_in_doubt = True
    charge.save()
    note(charge, charge.state, "Asked again", by, now)
    return charge


def lease() -> timedelta:
    return timedelta(seconds=settings.ECOMMERCE_TIMEOUT) + MARGIN


def call_shop(claimed: Charge, by: str, clock: Clock) -> Charged:
    answer = shop.place_order(
        request_id=claimed.request_id, customer_id=claimed.customer_id, sku_id=claimed.sku_id
    )
    state = state_after(answer, claimed.is_in_doubt)
    charge = record(claimed, state, answer, by, clock())
    match state:
        case Charge.State.SUCCEEDED:
            return Charged(charge, was_called=True, has_placed=answer.outcome == Outcome.PLACED)
        case Charge.State.FAILED:
            headers = {"Retry-After": answer.retry_after} if answer.retry_after else None
            raise ShopRefused(answer.reason, headers=headers, shop_status=answer.status)
    raise ShopOutcomeUnknown(answer.reason, shop_status=answer.status)


def state_after(answer: Answer, is_in_doubt: bool) -> Charge.State:
    match answer.outcome:
        case Outcome.PLACED | Outcome.EXISTED:
            return Charge.State.SUCCEEDED
        case Outcome.REFUSED if answer.is_about_order or not is_in_doubt:
            return Charge.State.FAILED
    # An earlier attempt may have placed the order; that this one did not even get to it is no news.
    return Charge.State.UNKNOWN


@transaction.atomic
def record(claimed: Charge, state: Charge.State, answer: Answer, by: str, now: datetime) -> Charge:
    """Write down what the shop said. An order that stands counts even if it comes too late."""
    note(claimed, state, answer.reason, by, now)
    outcome: dict[str, Any] = {"state": state}
    if state == Charge.State.UNKNOWN:
        silent = claimed.silent_attempts + 1
        outcome |= {"silent_attempts": silent, "look_again_at": now + wait_after(silent)}
    else:
        outcome |= {"settled_at": now, "look_again_at": None, "is_in_doubt": False}
        outcome |= {"order": answer.order, "silent_attempts": 0}
        has_failed = state == Charge.State.FAILED
        outcome["is_declined"] = has_failed and not shop.is_away(answer.status)
    ours = Charge.objects.filter(
        pk=claimed.pk, state=Charge.State.CLAIMED, attempts=claimed.attempts
    )
    if ours.update(**outcome):
        for name, value in outcome.items():
            setattr(claimed, name, value)
        return claimed
    return record_late(claimed, outcome, by, now)


def record_late(claimed: Charge, outcome: dict[str, Any], by: str, now: datetime) -> Charge:
    """Meanwhile somebody else had given up on this attempt, or settled it."""
    charge = Charge.objects.select_for_update().get(pk=claimed.pk)
    succeeded = Charge.State.SUCCEEDED
    if outcome["state"] != succeeded or charge.state == succeeded:
        return charge
    for name, value in outcome.items():
        setattr(charge, name, value)
    try:
        with transaction.atomic():
            charge.save()
    except IntegrityError:
        # Taken for failed, its month went to another: only people can put that right.
        logger.error("Two orders stand for %s: %s is one too many", charge, charge.request_id)
        note(charge, succeeded, "A second order for this month: one must be cancelled", by, now)
    return charge


def wait_after(silent_attempts: int) -> timedelta:
    return WAITS[min(silent_attempts, len(WAITS)) - 1]


def note(charge: Charge, state: str, reason: str, by: str, now: datetime) -> None:
    ChargeEvent.objects.create(charge=charge, at=now, state=state, reason=reason[:500], by=by)


@transaction.atomic
def settle(*, charge_id: int, state: Charge.State, reason: str, by: str, now: datetime) -> Charge:
    """What a person found out at the shop. Raises NotFound or AlreadySettled."""
    charge = Charge.objects.select_for_update().filter(pk=charge_id).first()
    if charge is None:
        raise NotFound()
    is_open = charge.state in (Charge.State.UNKNOWN, Charge.State.CLAIMED)
    if not is_open or (charge.state == Charge.State.CLAIMED and now < charge.look_again_at):  # type: ignore[operator]
        raise AlreadySettled()
    charge.state, charge.settled_at, charge.look_again_at = state, now, None
    charge.is_in_doubt, charge.silent_attempts = False, 0
    charge.save()
    note(charge, state, reason, by, now)
    return charge


def reconcile(charge: Charge, *, clock: Clock = timezone.now) -> Charge.State:
    """Find out what became of a charge that is due; its state afterwards.

    Nobody is asked for an order by itself once the subscription was paused or left: that one
    waits for a person.
    """
    by = "reconciliation"
    with transaction.atomic(durable=True):
        due = Charge.objects.due(now=clock()).filter(pk=charge.pk)
        found = due.select_for_update(of=("self",)).select_related("subscription").first()
        if found is None:
            return Charge.State(Charge.objects.get(pk=charge.pk).state)
        now = clock()
        if found.state == Charge.State.CLAIMED:
            found.state, found.silent_attempts = Charge.State.UNKNOWN, found.silent_attempts + 1
            found.look_again_at = now + wait_after(found.silent_attempts)
            found.save()
            note(found, found.state, "Whoever asked for the order is gone", by, now)
            return Charge.State.UNKNOWN
        if not shop.is_configured():
            return Charge.State.UNKNOWN
        if not is_eligible(found.subscription, now):
            found.look_again_at = now + WAITS[-1]
            found.save()
            note(found, found.state, "No longer eligible: left to be settled by hand", by, now)
            return Charge.State.UNKNOWN
        claimed = resume(found, found.request_id, by, now)
    try:
        return Charge.State(call_shop(claimed, by, clock).charge.state)
    except ShopRefused:
        return Charge.State.FAILED
    except ShopOutcomeUnknown:
        return Charge.State.UNKNOWN
