"""Proof that every award of coins was paid: exactly once while it stands, and not otherwise."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from uuid import UUID

import wallet.services
from common.identity import CANONICAL_UUID
from incentives.achievements import OWNER, REWARD
from incentives.models import Achievement
from wallet.services import Payment

AT_ONCE = 500

FULFILLED = Achievement.Status.FULFILLED
Award = tuple[UUID, str, int, str]  # its id, user, coins and status


def discrepancies() -> Iterator[str]:
    """Coins not paid, paid twice or paid wrongly; a line each, naming the account."""
    awards = (
        Achievement.objects.filter(coins__gt=0)
        .order_by("pk")
        .values_list("pk", "user_id", "coins", "status")
    )
    # Some at a time, so that they are as they stand when the wallet is asked: no cursor is.
    some = list(awards[:AT_ONCE])
    while some:
        yield from paid_otherwise(some)
        some = list(awards.filter(pk__gt=some[-1][0])[:AT_ONCE])
    strays: dict[tuple[str, str], int] = defaultdict(int)
    with closing(wallet.services.payments(owner=OWNER, kind=REWARD)) as paid:
        while payments := list(islice(paid, AT_ONCE)):
            for each in of_no_award(payments):
                strays[each.reference, each.user_id] += each.amount
    for (reference, user_id), coins in strays.items():
        if coins:
            yield not_earned(reference, user_id, coins)


def paid_otherwise(awards: Sequence[Award]) -> Iterator[str]:
    paid: dict[tuple[str, str], int] = defaultdict(int)
    references = [str(id) for id, *_ in awards]
    # Whoever else pays for one of these pays for it a second time.
    for payment in wallet.services.payments(kind=REWARD, references=references):
        paid[payment.reference, payment.user_id] += payment.amount
    for id, user_id, coins, status in awards:
        due = coins if status == FULFILLED else 0
        got = paid.pop((str(id), user_id), 0)
        if got != due:
            yield f"account {user_id}: {got} of {due} coins of achievement {id} were paid"
    for (reference, user_id), coins in paid.items():
        if coins:
            yield not_earned(reference, user_id, coins)


def of_no_award(payments: Sequence[Payment]) -> Iterator[Payment]:
    ids = [UUID(each.reference) for each in payments if CANONICAL_UUID.fullmatch(each.reference)]
    awards = Achievement.objects.filter(pk__in=ids, coins__gt=0)
    known = {str(id) for id in awards.values_list("pk", flat=True)}
    return (each for each in payments if each.reference not in known)


def not_earned(reference: str, user_id: str, coins: int) -> str:
    return f"account {user_id}: {coins} coins of achievement {reference} were paid and not earned"
