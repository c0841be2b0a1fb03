"""What the service answers, typed: decimals are Decimals, instants are datetimes in UTC."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from usage_client.errors import InvalidRecord, KeyConflict, UnknownCustomer, UsageError
from usage_client.records import Usage, as_money

# Opaque: to be shown and compared.
Id: TypeAlias = "int | str"

CREATED, REPLAYED = "created", "replayed"
CONFLICT, INVALID, UNKNOWN_CUSTOMER = "conflict", "invalid", "unknown_customer"


@dataclass(frozen=True)
class Bill:
    """A record's bill as it was when the service answered."""

    id: Id
    period: str
    total: Decimal
    currency: str


@dataclass(frozen=True)
class UsageRecord:
    """A record as the service keeps it, and how it came there."""

    id: Id
    customer_id: int
    service: str
    units_consumed: Decimal
    price_per_unit: Decimal
    amount: Decimal
    recorded_at: datetime
    #: The closed month it was for, when it came too late for that month's bill.
    late_for: str | None
    bill: Bill
    idempotency_key: str
    #: It was there before: by an earlier attempt of ours, or by an earlier call with this key.
    replayed: bool
    attempts: int
    request_id: str | None = None


@dataclass(frozen=True)
class Result:
    """The verdict on one record of many."""

    idempotency_key: str | None
    status: str
    id: Id | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    attempts: int = 0
    #: None when what was given was no record at all.
    record: Usage | None = field(default=None, repr=False)
    #: What `record` would have raised.
    error: UsageError | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """It is recorded, now or before."""
        return self.status in (CREATED, REPLAYED)

    @property
    def replayed(self) -> bool:
        return self.status == REPLAYED

    def raise_for_status(self) -> Result:
        if self.error:
            raise self.error
        return self


@dataclass(frozen=True)
class BillLine:
    service: str
    price_per_unit: Decimal
    units_consumed: Decimal
    amount: Decimal
    records: int


@dataclass(frozen=True)
class MonthlyBill:
    """A bill with its lines, as it is now."""

    id: Id
    customer_id: int
    period: str
    status: str
    total: Decimal
    currency: str
    lines: Sequence[BillLine]


@dataclass(frozen=True)
class Receipt:
    """What the service has of ours in a range of keys."""

    count: int
    sum: Decimal
    digest: str
    first_key: str | None
    last_key: str | None
    #: False when there are more than one receipt covers: ask again after `last_key`.
    is_complete: bool

    def proves(self, records: Iterable[Usage]) -> bool:
        """Whether it is of exactly these records: none missing, none more, no other amount."""
        amounts = {each.idempotency_key: as_money(each.amount) for each in records}
        # Keys are ASCII, whose order is that of its bytes.
        lines = "".join(f"{key} {amounts[key]}\n" for key in sorted(amounts))
        return self.is_complete and self.digest == hashlib.sha256(lines.encode()).hexdigest()


VERDICTS: dict[str, tuple[type[UsageError], str]] = {
    INVALID: (InvalidRecord, "the service finds the record invalid"),
    UNKNOWN_CUSTOMER: (UnknownCustomer, "the service has no such customer"),
    CONFLICT: (KeyConflict, "the key was used for another record"),
}


def verdict(record: Usage, status: str, errors: Sequence[Mapping[str, Any]], **seen: Any) -> Result:
    """A refusal. `seen`: the attempts, the bytes sent and the request's id, for the error."""
    kind, message = VERDICTS[status]
    details = "; ".join(f"{each.get('pointer')}: {each.get('detail')}" for each in errors)
    message = f"{record.idempotency_key}: {message}" + (f" ({details})" if details else "")
    error = kind(message, records=[record], problem={"errors": list(errors)}, **seen)
    attempts = seen["attempts"]
    return Result(record.idempotency_key, status, None, tuple(errors), attempts, record, error)
