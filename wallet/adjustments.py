"""Adjustments by hand: with a reason, one for each form, above the limit with four eyes."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from common.problems import NotFound, Problem
from wallet import ledger
from wallet.models import Account, Adjustment, Entry

OWNER = "wallet.adjustments"
KIND = "adjustment"


class FormUsed(Problem):
    status, code, title = 409, "form-used", "This form was used for another adjustment"


class AlreadyDecided(Problem):
    status, code, title = 409, "already-decided", "This adjustment was decided before"


class OwnAdjustment(Problem):
    status, code, title = 403, "own-adjustment", "Somebody else has to decide on your adjustment"


def ask_for_adjustment(
    *,
    id: UUID,
    user_id: str,
    amount: int,
    reason: str,
    corrects: int | None,
    by: User,
    now: datetime,
) -> tuple[Adjustment, bool]:
    """The adjustment of the form `id` and whether it is new: posted up to the limit, else waiting.

    The limit holds for each adjustment alone; who splits a large one up is seen in the list.
    Raises FormUsed and whatever the ledger refuses, with nothing written.
    """
    with transaction.atomic():
        adjustment = Adjustment(
            id=id,
            user_id=user_id,
            amount=amount,
            reason=reason,
            corrects_id=corrects,
            requested_by=by,
            requested_at=now,
        )
        try:
            with transaction.atomic():
                adjustment.save(force_insert=True)
        except IntegrityError:
            earlier = Adjustment.objects.filter(pk=id).first()
            if earlier is None:
                raise
            if not is_same(earlier, adjustment):
                raise FormUsed() from None
            return earlier, False
        if abs(amount) <= settings.WALLET_ADJUSTMENT_LIMIT:
            post(adjustment, by=None, now=now)
        else:
            expect_possible(adjustment)
        return adjustment, True


def approve_adjustment(*, id: UUID, by: User, now: datetime) -> Adjustment:
    """Post it. Raises NotFound, OwnAdjustment, AlreadyDecided and whatever the ledger refuses;
    then it goes on waiting."""
    with transaction.atomic():
        adjustment = locked(id, by)
        post(adjustment, by=by, now=now)
        return adjustment


def reject_adjustment(*, id: UUID, by: User, now: datetime) -> Adjustment:
    """Let it be. Raises NotFound, OwnAdjustment or AlreadyDecided."""
    with transaction.atomic():
        adjustment = locked(id, by)
        adjustment.state = Adjustment.State.REJECTED
        adjustment.decided_by, adjustment.decided_at = by, now
        adjustment.save(update_fields=["state", "decided_by", "decided_at"])
        return adjustment


def locked(id: UUID, by: User) -> Adjustment:
    """The waiting adjustment, held until the transaction ends: of two deciders one is first."""
    found = Adjustment.objects.select_for_update().filter(pk=id).first()
    if found is None:
        raise NotFound()
    if found.requested_by_id == by.pk:
        raise OwnAdjustment()
    if found.state != Adjustment.State.WAITING:
        by_whom = f"by {found.decided_by}" if found.decided_by else "at once, below the limit"
        raise AlreadyDecided(f"{found.get_state_display()} before, {by_whom}.")
    return found


def post(adjustment: Adjustment, *, by: User | None, now: datetime) -> None:
    posted = ledger.post(
        owner=OWNER,
        key=str(adjustment.pk),
        user_id=adjustment.user_id,
        amount=adjustment.amount,
        kind=KIND,
        reference=str(adjustment.pk),
        reason=adjustment.reason,
        corrects=adjustment.corrects_id,
    )
    adjustment.state = Adjustment.State.POSTED
    adjustment.entry_id = posted.id
    adjustment.decided_by, adjustment.decided_at = by, now
    adjustment.save(update_fields=["state", "entry", "decided_by", "decided_at"])


def expect_possible(adjustment: Adjustment) -> None:
    """Spare the second person what the ledger would refuse as things stand."""
    if Account.objects.balance_of(adjustment.user_id) + adjustment.amount < 0:
        raise ledger.InsufficientFunds()
    if adjustment.corrects_id is not None:
        entry = Entry.objects.filter(pk=adjustment.corrects_id, account=adjustment.user_id).first()
        if entry is None:
            raise ledger.NothingToCorrect()
        if entry.corrections.exists():
            raise ledger.AlreadyCorrected()


def is_same(one: Adjustment, other: Adjustment) -> bool:
    said = ["user_id", "amount", "reason", "corrects_id", "requested_by_id"]
    return all(getattr(one, name) == getattr(other, name) for name in said)
