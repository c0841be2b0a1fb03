"""The claim on a month: who may call the shop for it, and under which request id."""

from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from clubs import shop
from clubs.eligibility import is_eligible
from clubs.models import Charge, ChargeEvent, Subscription
from clubs.months import month_of
from clubs.services import Clock
from clubs.shop import ShopNotConfigured
from common.problems import NotFound, Problem

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


def note(charge: Charge, state: str, reason: str, by: str, now: datetime) -> None:
    ChargeEvent.objects.create(charge=charge, at=now, state=state, reason=reason[:500], by=by)
