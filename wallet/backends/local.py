"""The wallet in this process: a posting is part of the caller's own transaction."""

from collections.abc import Generator, Iterable

from wallet import ledger
from wallet.models import Entry
from wallet.services import Claim, Payment


def post(claim: Claim) -> None:
    ledger.post(
        owner=claim.owner,
        key=claim.key,
        user_id=claim.user_id,
        amount=claim.amount,
        kind=claim.kind,
        reference=claim.reference,
        reason=claim.reason,
    )


def payments(
    kind: str, owner: str | None, references: Iterable[str] | None
) -> Generator[Payment, None, None]:
    found = Entry.objects.filter(kind=kind)
    if owner is not None:
        found = found.filter(owner=owner)
    if references is not None:
        found = found.filter(reference__in=list(references))
    rows = found.values_list("reference", "account_id", "amount")
    for reference, user_id, amount in rows.iterator():
        yield Payment(reference, user_id, amount)
