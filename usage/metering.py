"""The one writer of records: every key once, for ever, with its bill in the same statement."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import psycopg
from django.db import IntegrityError, OperationalError, connection, transaction

from common.idempotency import KeyReused
from common.problems import Problem
from usage.billing import period_of
from usage.models import Bill, UsageRecord, first_of_month, month_text
from usage.reading import Usage

Arguments = dict[str, Any]
ATTEMPTS = 3
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

MANY = f"""{INSERT}
FROM (SELECT c AS customer_id, s AS service, u AS units, p AS price,
             coalesce(t, %(now)s::timestamptz) AS recorded_at, k AS key,
             decode(f, 'hex') AS fingerprint, %(now)s::timestamptz AS now
      FROM jsonb_to_recordset(%(records)s::jsonb)
           AS given(k text, c bigint, s text, u numeric, p numeric, t timestamptz, f text)) given
WHERE EXISTS (SELECT FROM customer WHERE id = customer_id)
-- Whoever brings the same keys takes them in the same order.
ORDER BY key COLLATE "C"
ON CONFLICT (owner, idempotency_key) DO NOTHING
RETURNING idempotency_key, id
"""  # noqa: S608

# A statement of its own sees what the one before waited for.
LOOK_UP = """
SELECT record.fingerprint, record.id, record.customer_id, record.service, record.units_consumed,
       record.price_per_unit, record.amount, record.recorded_at, record.period,
       bill.id, bill.total, bill.currency
FROM usage_record record
JOIN usage_bill bill ON bill.customer_id = record.customer_id AND bill.period = record.period
WHERE record.owner = %(owner)s::varchar AND record.idempotency_key = %(key)s::varchar
"""

LOOK_UP_MANY = """
SELECT idempotency_key, fingerprint, id, customer_id, service, units_consumed, price_per_unit,
       recorded_at
FROM usage_record WHERE owner = %(owner)s::varchar AND idempotency_key = ANY(%(keys)s::varchar[])
"""

COPY = """
COPY usage_record (id, customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                   idempotency_key, fingerprint, owner, created_at) FROM STDIN
"""
ESCAPES = str.maketrans({each: f"\\{each}" for each in "\\\t\n\r"})

# Never back, and not to the end of all ids, where somebody's highest may be.
NEXT_FREE_ID = """
SELECT setval('usage_record_id_seq', greatest(last_value, (
    SELECT max(id) FROM usage_record WHERE id < 9000000000000000
))) FROM usage_record_id_seq
"""

AHEAD = """
SELECT ARRAY(SELECT id FROM customer WHERE id = ANY(%(customers)s::bigint[])),
       ARRAY(SELECT nextval('usage_record_id_seq') FROM generate_series(1, %(count)s::int)),
       ARRAY(SELECT first_month FROM usage_closing ORDER BY id),
       ARRAY(SELECT last_month FROM usage_closing ORDER BY id)
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
    found = look_up(owner, usage.key)
    if found is None:
        raise UnknownCustomer()
    fingerprint, stands = found
    recorded = Recorded(*[*stands, not is_new])
    if not is_new and not means(usage, fingerprint, recorded):
        raise KeyReused()
    return recorded


class Stands(NamedTuple):
    """A record of the same key; `place` is its place in the batch that it came with."""

    fingerprint: bytes | None
    id: int
    customer_id: int
    service: str
    units_consumed: Decimal
    price_per_unit: Decimal
    recorded_at: datetime
    place: int = -1


class Verdict(NamedTuple):
    status: Literal["created", "replayed", "conflict", "unknown_customer"]
    id: int | None = None


def record_many(*, owner: str, batch: Sequence[Usage], now: datetime) -> list[Verdict]:
    """A verdict for each in order, as if they had come one after the other; one statement writes.

    Of one key twice the first that has a customer is written.
    """
    if not batch:
        return []
    wanted = {usage.customer_id for usage in batch}
    customers, ids, closings = look_ahead(wanted, len(batch))
    first: dict[str, int] = {}
    for place, usage in enumerate(batch):
        if usage.customer_id in customers:
            first.setdefault(usage.key, place)
    fresh = [batch[place] for place in first.values()]
    try:
        # Nearly always all keys are new.
        written = dict(copy_many(owner, fresh, ids, closings, now))
    except (IntegrityError, OperationalError) as error:
        if not isinstance(error.__cause__, (psycopg.errors.UniqueViolation, *PASSING)):
            raise
        written = dict(insert_many(owner, fresh, now))
    if len(written) == len(batch):
        return [Verdict("created", written[usage.key]) for usage in batch]
    return judged(owner, batch, first, written)


def judged(
    owner: str, batch: Sequence[Usage], first: dict[str, int], written: dict[str, int]
) -> list[Verdict]:
    """`first` has the places of those that were to be written, by key."""
    others = {usage.key for usage in batch if usage.key not in written}
    standing = {
        key: Stands(*columns)
        for key, *columns in (
            fetch(LOOK_UP_MANY, {"owner": owner, "keys": list(others)}) if others else []
        )
    }
    verdicts = []
    for place, usage in enumerate(batch):
        key = usage.key
        if (id := written.get(key)) is not None:
            if place == first[key]:
                verdicts.append(Verdict("created", id))
            elif place < first[key]:
                verdicts.append(Verdict("unknown_customer"))
            elif usage.fingerprint == batch[first[key]].fingerprint:
                verdicts.append(Verdict("replayed", id))
            else:
                verdicts.append(Verdict("conflict"))
        elif (stands := standing.get(key)) is None:
            verdicts.append(Verdict("unknown_customer"))
        elif means(usage, stands.fingerprint, stands):
            verdicts.append(Verdict("replayed", stands.id))
        else:
            verdicts.append(Verdict("conflict"))
    return verdicts


Months = list[tuple[date, date]]


def look_ahead(customers: set[int], count: int) -> tuple[set[int], list[int], Months]:
    """Those customers that there are, ids for so many records, and the months that are closed."""
    arguments = {"customers": list(customers), "count": count}
    [(known, ids, first_months, last_months)] = fetch(AHEAD, arguments)
    return set(known), ids, list(zip(first_months, last_months, strict=True))


def copy_many(
    owner: str, batch: Sequence[Usage], ids: list[int], closings: Months, now: datetime
) -> Iterator[tuple[str, int]]:
    """Write all of them, or raise with none written."""
    # Whoever brings the same keys takes them in the same order.
    ordered = sorted(batch, key=attrgetter("key"))
    savepoint = transaction.atomic() if connection.in_atomic_block else nullcontext()
    with (
        savepoint,
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(COPY) as copy,
    ):
        copy.write("".join(lines_of(owner, ordered, ids, closings, now)))
    return zip((usage.key for usage in ordered), ids, strict=False)


def lines_of(
    owner: str, batch: Sequence[Usage], ids: list[int], closings: Months, now: datetime
) -> Iterator[str]:
    """As COPY wants them."""
    ending = f"{escaped(owner)}\t{now}\n"
    when: dict[datetime | None, str] = {}
    for id, usage in zip(ids, batch, strict=False):
        key, customer_id, service, units, price, recorded_at = usage
        if (moment := when.get(recorded_at)) is None:
            at = recorded_at or now
            period = period_in(first_of_month(at), closings, now)
            moment = when[recorded_at] = f"{at}\t{period}"
        if "\\" in key:
            key = escaped(key)
        yield (
            f"{id}\t{customer_id}\t{escaped(service)}\t{units}\t{price}\t{moment}\t{key}\t"
            f"\\\\x{usage.fingerprint.hex()}\t{ending}"
        )


def period_in(month: date, closings: Months, now: datetime) -> date:
    """As `billing.period_of` has it; the database expects the same."""
    if not any(first <= month <= last for first, last in closings):
        return month
    last = max(last for _, last in closings)
    after = (last + timedelta(days=31)).replace(day=1)
    return max(first_of_month(now), after)


@lru_cache(4096)
def escaped(text: str) -> str:
    """As COPY wants it."""
    return text.translate(ESCAPES)


def insert_many(owner: str, batch: Sequence[Usage], now: datetime) -> list[tuple[str, int]]:
    """Key and id of those that were not there before."""
    records = [
        {
            "k": usage.key,
            "c": usage.customer_id,
            "s": usage.service,
            "u": usage.units_consumed,
            "p": usage.price_per_unit,
            "t": usage.recorded_at and usage.recorded_at.isoformat(),
            "f": usage.fingerprint.hex(),
        }
        for usage in batch
    ]
    arguments = {"owner": owner, "records": json.dumps(records), "now": now}
    return write(MANY, arguments)[1]


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


def look_up(owner: str, key: str) -> tuple[bytes | None, list[Any]] | None:
    """The fingerprint, and what Recorded holds but for `is_replay`."""
    for fingerprint, *stands in fetch(LOOK_UP, {"owner": owner, "key": key}):
        return fingerprint, stands
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
