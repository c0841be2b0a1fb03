"""What became of a charge, written down: as the shop answered, or as a person found out."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from clubs import shop
from clubs.claims import note
from clubs.models import Charge
from clubs.shop import Answer
from common.problems import NotFound, Problem

logger = logging.getLogger(__name__)

# After the n-th attempt in a row that told nothing; the last one for ever.
WAITS = [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)]


class AlreadySettled(Problem):
    status, code = 409, "already-settled"
    title = "This charge is settled already, or still under way"


@transaction.atomic
def record(claimed: Charge, state: Charge.State, answer: Answer, by: str, now: datetime) -> Charge:
    """Write down what the shop said. An order that stands counts even if it comes too late."""
    note(claimed, state, answer.reason, by, now)
    outcome: dict[str, Any] = {"state": state}
    if state == Charge.State.UNKNOWN:
        silent = claimed.silent_attempts + 1
        outcome |= {"silent_attempts": silent, "look_again_at": now + wait_after(silent)}
    else:
        has_failed = state == Charge.State.FAILED
        outcome |= {"settled_at": now, "look_again_at": None, "is_in_doubt": False}
        outcome |= {"order": answer.order, "silent_attempts": 0}
        outcome |= {"is_declined": has_failed and not shop.is_away(answer.status)}
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
