"""The one writer of records: every key once, for ever, with its bill in the same statement."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from django.db import IntegrityError, OperationalError, connection, transaction

from common.idempotency import KeyReused
from common.problems import Problem
from usage.billing import period_of
from usage.folding import fold_bill
from usage.models import Bill, UsageRecord, first_of_month, month_text
from usage.reading import Usage

Arguments = dict[str, Any]
ATTEMPTS = 3
PLENTY = 50  # records of a bill; more would cost the look-ups more than folding them
PASSING = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    # The customer was there a moment ago; the next try sees that it is not.
    psycopg.errors.ForeignKeyViolation,
)


class UnknownCustomer(Problem):
    status, code, title = 404, "unknown-customer", "There is no such customer"


def as_units(number: Decimal) -> str:
    """No exponent, no needless zero."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_money(number: Decimal) -> str:
    """The same with at least two decimals: 9.50, 0.81, 0.000001."""
    whole, _, places = f"{number:f}".partition(".")
    return f"{whole}.{places.rstrip('0'):0<2}"


@dataclass(frozen=True)
class Recorded:
    """A record as it stands, with its bill as it is now; `is_replay` when it stood before."""

    id: int
    customer_id: int
    service: str
    units_consumed: Decimal
    price_per_unit: Decimal
    amount: Decimal
    recorded_at: datetime
    period: date
    bill_id: int
    total: Decimal
    currency: str
    is_replay: bool

    def as_json(self) -> dict[str, Any]:
        """As the API answers; by hand, because a serializer would take as long as the record."""
        month = first_of_month(self.recorded_at)
        return {
            "id": self.id,
            "customerId": self.customer_id,
            "service": self.service,
            "unitsConsumed": as_units(self.units_consumed),
            "pricePerUnit": as_money(self.price_per_unit),
            "amount": as_money(self.amount),
            "recordedAt": self.recorded_at,
            "lateFor": month_text(month) if month < self.period else None,
            "bill": {
                "id": self.bill_id,
                "period": month_text(self.period),
                "total": as_money(self.total),
                "currency": self.currency,
            },
        }


INSERT = f"""
INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                          owner, idempotency_key, fingerprint, created_at)
SELECT customer_id, service, units, price, recorded_at, {period_of("recorded_at", "now")},
       %(owner)s::varchar, key, fingerprint, now
"""

ONE = f"""{INSERT}
FROM (SELECT %(customer_id)s::bigint AS customer_id, %(service)s::varchar AS service,
             %(units)s::numeric AS units, %(price)s::numeric AS price,
             %(recorded_at)s::timestamptz AS recorded_at, %(key)s::varchar AS key,
             %(fingerprint)s::bytea AS fingerprint, %(now)s::timestamptz AS now) given
WHERE EXISTS (SELECT FROM customer WHERE id = customer_id)
ON CONFLICT (owner, idempotency_key) DO NOTHING
"""  # noqa: S608

# A statement of its own sees what the one before waited for. The record comes first: planned while
# there are few bills, it would be looked for on each of them.
LOOK_UP = """
SELECT record.fingerprint, added.records, record.id, customer_id, record.service,
       record.units_consumed, record.price_per_unit, record.amount, record.recorded_at, period,
       bill.id, bill.total + added.amount, bill.currency
FROM (
    SELECT * FROM usage_record
    WHERE owner = %(owner)s::varchar AND idempotency_key = %(key)s::varchar OFFSET 0
) record
JOIN usage_foldedbill bill USING (customer_id, period)
CROSS JOIN LATERAL usage_added(customer_id, period, bill.folded_to, bill.under_way) added
"""

# Never back, and not to the end of all ids, where somebody's highest may be.
NEXT_FREE_ID = """
SELECT setval('usage_record_id_seq', greatest(last_value, (
    SELECT max(id) FROM usage_record WHERE id < 9000000000000000
))) FROM usage_record_id_seq
"""


def record_usage(*, owner: str, usage: Usage, now: datetime) -> Recorded:
    """Once for each owner and key. Raises UnknownCustomer with the key still free, KeyReused."""
    arguments = {
        "owner": owner,
        "key": usage.key,
        "customer_id": usage.customer_id,
        "service": usage.service,
        "units": usage.units_consumed,
        "price": usage.price_per_unit,
        "recorded_at": usage.recorded_at or now,
        "fingerprint": usage.fingerprint,
        "now": now,
    }
    is_new = write(ONE, arguments)[0] == 1
    found = look_up(owner, usage.key, is_replay=not is_new)
    if found is None:
        raise UnknownCustomer()
    fingerprint, recorded = found
    if not is_new and not means(usage, fingerprint, recorded):
        raise KeyReused()
    return recorded


def write(statement: str, arguments: Arguments) -> tuple[int, list[Any]]:
    """How many rows were written, and what they return.

    Again when the month was closed or the customer deleted at the very moment, when PostgreSQL
    ended one of two that waited for each other, or when rows by SQL had taken the next ids.
    """
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            # In a transaction of somebody else's, a failed statement must not be the end of it.
            savepoint = transaction.atomic() if connection.in_atomic_block else nullcontext()
            with savepoint, connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.rowcount, cursor.fetchall() if cursor.description else []
        except (IntegrityError, OperationalError) as error:
            is_id_taken = constraint_of(error) == "usage_record_pkey"
            if not (isinstance(error.__cause__, PASSING) or is_id_taken) or not attempts_left:
                raise
            if is_id_taken:
                fetch(NEXT_FREE_ID, {})
    raise AssertionError("unreachable")


def constraint_of(error: Exception) -> str | None:
    cause = error.__cause__
    return cause.diag.constraint_name if isinstance(cause, psycopg.Error) else None


def fetch(statement: str, arguments: Arguments) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        rows: list[Any] = cursor.fetchall()
        return rows


def look_up(owner: str, key: str, *, is_replay: bool) -> tuple[bytes | None, Recorded] | None:
    """The record of this key, after its fingerprint."""
    for fingerprint, unfolded, *columns in fetch(LOOK_UP, {"owner": owner, "key": key}):
        recorded = Recorded(*[*columns, is_replay])
        # Not in somebody else's transaction, which would keep others from folding till its end.
        if unfolded > PLENTY and not connection.in_atomic_block:
            fold_bill(recorded.bill_id)
        return fingerprint, recorded
    return None


def standing(record: UsageRecord, bill: Bill) -> Recorded:
    """The same from rows that were read already."""
    return Recorded(
        record.pk,
        record.customer_id,
        record.service,
        record.units_consumed,
        record.price_per_unit,
        record.amount,
        record.recorded_at,
        record.period,
        bill.pk,
        bill.total,
        bill.currency,
        is_replay=True,
    )


def means(usage: Usage, fingerprint: bytes | None, stands: Any) -> bool:
    """Whether what stands is what is asked for; without a fingerprint, going by the columns."""
    if fingerprint is not None:
        return fingerprint == usage.fingerprint
    return (
        usage.customer_id == stands.customer_id
        and usage.service == stands.service
        and Decimal(usage.units_consumed) == stands.units_consumed
        and Decimal(usage.price_per_unit) == stands.price_per_unit
        and usage.recorded_at in (None, stands.recorded_at)
    )
