"""One order for each subscription and month: the claim, the call, and what is made of its outcome.

The claim is committed before the shop is called, so a crash leaves a month that is held and not a
second order. What nobody knows stays `unknown` until the shop, asked again for the same request id,
or a person has said what became of it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from clubs import claims, settling, shop
from clubs.eligibility import is_eligible
from clubs.models import Charge
from clubs.services import Clock
from clubs.shop import Answer, Outcome
from common.problems import Problem

REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class ShopRefused(Problem):
    status, code, title = 502, "shop-refused", "The shop placed no order"


class ShopOutcomeUnknown(Problem):
    status, code = 504, "shop-outcome-unknown"
    title = "The shop did not say whether it placed the order; the month is held"


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

    With `as_of` it must have been eligible then, too. Raises the problems above and of claims.
    """
    claimed, is_to_be_called = claims.claim(subscription_id, request_id, by, as_of, clock)
    if not is_to_be_called:
        return Charged(claimed, was_called=False, has_placed=False)
    return call_shop(claimed, by, clock)


def call_shop(claimed: Charge, by: str, clock: Clock) -> Charged:
    answer = shop.place_order(
        request_id=claimed.request_id, customer_id=claimed.customer_id, sku_id=claimed.sku_id
    )
    state = state_after(answer, claimed.is_in_doubt)
    charge = settling.record(claimed, state, answer, by, clock())
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
            found.look_again_at = now + settling.wait_after(found.silent_attempts)
            found.save()
            claims.note(found, found.state, "Whoever asked for the order is gone", by, now)
            return Charge.State.UNKNOWN
        if not shop.is_configured():
            return Charge.State.UNKNOWN
        if not is_eligible(found.subscription, now):
            found.look_again_at = now + settling.WAITS[-1]
            found.save()
            claims.note(
                found, found.state, "No longer eligible: left to be settled by hand", by, now
            )
            return Charge.State.UNKNOWN
        claimed = claims.resume(found, found.request_id, by, now)
    try:
        return Charge.State(call_shop(claimed, by, clock).charge.state)
    except ShopRefused:
        return Charge.State.FAILED
    except ShopOutcomeUnknown:
        return Charge.State.UNKNOWN
