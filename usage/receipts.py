"""Receipts: with them a team proves that all it sent has landed, and nothing else."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

from usage.metering import as_money
from usage.models import UsageRecord
from usage.reading import WIDE

MOST_RECORDS = 100_000


@dataclass(frozen=True)
class Receipt:
    count: int
    sum: Decimal
    digest: str
    first_key: str | None
    last_key: str | None
    is_complete: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "sum": as_money(self.sum),
            "digest": self.digest,
            "firstKey": self.first_key,
            "lastKey": self.last_key,
            "isComplete": self.is_complete,
        }


def receipt(*, owner: str, first: str | None, last: str | None) -> Receipt:
    """Over the owner's keys from one to the other, both included, in the order of their bytes."""
    found = UsageRecord.objects.filter(owner=owner).order_by("idempotency_key")
    if first is not None:
        found = found.filter(idempotency_key__gte=first)
    if last is not None:
        found = found.filter(idempotency_key__lte=last)
    # One more shows whether there are more.
    rows = list(found.values_list("idempotency_key", "amount")[: MOST_RECORDS + 1])
    covered = rows[:MOST_RECORDS]
    digest = hashlib.sha256()
    for key, amount in covered:
        digest.update(f"{key} {as_money(amount)}\n".encode())
    return Receipt(
        count=len(covered),
        sum=reduce(WIDE.add, (amount for _, amount in covered), Decimal(0)),
        digest=digest.hexdigest(),
        first_key=covered[0][0] if covered else None,
        last_key=covered[-1][0] if covered else None,
        is_complete=len(rows) == len(covered),
    )
