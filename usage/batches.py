"""Many records at once: a verdict for each, whatever is wrong with the others."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from operator import attrgetter
from typing import Literal, NamedTuple

import psycopg
from django.db import IntegrityError, OperationalError, connection
from msgspec import Struct

from common.problems import Fault
from usage.folding import fold_customers
from usage.metering import INSERT, PASSING, PLENTY, fetch, means, write
from usage.models import Customer, first_of_month
from usage.reading import Usage

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

LOOK_UP_MANY = """
SELECT idempotency_key, fingerprint, id, customer_id, service, units_consumed, price_per_unit,
       recorded_at
FROM usage_record WHERE owner = %(owner)s::varchar AND idempotency_key = ANY(%(keys)s::varchar[])
"""

COPY = """
COPY usage_record (id, customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                   idempotency_key, fingerprint, owner, created_at) FROM STDIN
"""
# By their ids: so many are read in a few milliseconds, and to fold each batch costs a tenth of it.
RECORDS_PER_FOLD = 10_000
ESCAPES = str.maketrans({each: f"\\{each}" for each in "\\\t\n\r"})

# Numbers come as one text: the driver takes half as long again for an array of a thousand. They
# need not be on the disk before the records are, which come with a commit of their own.
AHEAD = """
SELECT set_config('synchronous_commit', 'off', true),
       (SELECT string_agg(nextval('usage_record_id_seq')::text, ' ')
        FROM generate_series(1, %(count)s::int)),
       ARRAY(SELECT first_month FROM usage_closing ORDER BY id),
       ARRAY(SELECT last_month FROM usage_closing ORDER BY id)
"""


class Stands(NamedTuple):
    """A record of the same key."""

    fingerprint: bytes | None
    id: int
    customer_id: int
    service: str
    units_consumed: Decimal
    price_per_unit: Decimal
    recorded_at: datetime


class Verdict(Struct, rename="camel", omit_defaults=True, gc=False):
    """What became of a record, as its sender is told: with its id, or with what is wrong."""

    idempotency_key: str | None
    status: Literal["created", "replayed", "conflict", "unknown_customer", "invalid"]
    id: int | None = None
    errors: list[Fault] | None = None


def record_many(*, owner: str, batch: Sequence[Usage], now: datetime) -> list[Verdict]:
    """A verdict for each in order, as if they had come one after the other; one statement writes.

    Of one key twice the first that has a customer is written.
    """
    if not batch:
        return []
    ids = copy_all(owner, batch, now)
    if ids is not None:
        fold_plenty(batch, ids.values())
        return [Verdict(usage.key, "created", ids[usage.key]) for usage in batch]
    customers = known({usage.customer_id for usage in batch})
    first: dict[str, int] = {}
    for place, usage in enumerate(batch):
        if usage.customer_id in customers:
            first.setdefault(usage.key, place)
    written = dict(insert_many(owner, [batch[place] for place in first.values()], now))
    fold_plenty(batch, written.values())
    return judged(owner, batch, first, written)


def fold_plenty(batch: Sequence[Usage], ids: Collection[int]) -> None:
    """Now and then bills that get many records at a time are folded, before somebody reads them."""
    # In somebody else's transaction it would keep others from folding till its end.
    if not ids or connection.in_atomic_block:
        return
    if min(ids) // RECORDS_PER_FOLD == max(ids) // RECORDS_PER_FOLD:
        return
    records = Counter(usage.customer_id for usage in batch)
    if customers := [customer for customer, count in records.items() if count > PLENTY]:
        fold_customers(customers)


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
                verdicts.append(Verdict(key, "created", id))
            elif place < first[key]:
                verdicts.append(Verdict(key, "unknown_customer"))
            elif usage.fingerprint == batch[first[key]].fingerprint:
                verdicts.append(Verdict(key, "replayed", id))
            else:
                verdicts.append(Verdict(key, "conflict"))
        elif (stands := standing.get(key)) is None:
            verdicts.append(Verdict(key, "unknown_customer"))
        elif means(usage, stands.fingerprint, stands):
            verdicts.append(Verdict(key, "replayed", stands.id))
        else:
            verdicts.append(Verdict(key, "conflict"))
    return verdicts


Months = list[tuple[date, date]]


def known(customers: set[int]) -> set[int]:
    found = Customer.objects.filter(pk__in=customers)
    return set(found.values_list("pk", flat=True))


def copy_all(owner: str, batch: Sequence[Usage], now: datetime) -> dict[str, int] | None:
    """Write all of them: their ids by key. None, with none written, when one cannot be.

    Nearly always all keys are new and all customers known.
    """
    # In somebody's transaction an unknown customer would come out at its end only.
    if connection.in_atomic_block or len({usage.key for usage in batch}) < len(batch):
        return None
    ids, closings = look_ahead(len(batch))
    # Whoever brings the same keys takes them in the same order.
    ordered = sorted(batch, key=attrgetter("key"))
    try:
        with (
            connection.cursor() as cursor,
            connection.wrap_database_errors,
            cursor.copy(COPY) as copy,
        ):
            copy.write("".join(lines_of(owner, ordered, ids, closings, now)))
    except (IntegrityError, OperationalError) as error:
        if isinstance(error.__cause__, (psycopg.errors.UniqueViolation, *PASSING)):
            return None
        raise
    return dict(zip((usage.key for usage in ordered), ids, strict=True))


def look_ahead(count: int) -> tuple[list[int], Months]:
    """Ids for so many records, and the months that are closed."""
    [(_, ids, first_months, last_months)] = fetch(AHEAD, {"count": count})
    return list(map(int, ids.split())), list(zip(first_months, last_months, strict=True))


def lines_of(
    owner: str, batch: Sequence[Usage], ids: list[int], closings: Months, now: datetime
) -> Iterator[str]:
    """As COPY wants them."""
    created = f"{escaped(owner)}\t{now.isoformat()}\n"
    moments = moments_of(batch, closings, now)
    for id, usage in zip(ids, batch, strict=True):
        said, moment = moments[usage.recorded_at]
        # Visible ASCII, and hardly ever the same again: not worth remembering.
        key = escaped(usage.key) if "\\" in usage.key else usage.key
        yield (
            f"{id}\t{usage.customer_id}\t{escaped(usage.service)}\t{usage.units_consumed}\t"
            f"{usage.price_per_unit}\t{moment}\t{key}\t\\\\x{usage.mark(said)}\t{created}"
        )


def moments_of(
    batch: Sequence[Usage], closings: Months, now: datetime
) -> dict[datetime | None, tuple[str, str]]:
    """By `recorded_at`: what the record said, as text, and both columns that follow from it."""

    @cache
    def period_of(month: str) -> str:
        return str(period_in(date.fromisoformat(f"{month}-01"), closings, now))

    moments = {}
    for recorded_at in {usage.recorded_at for usage in batch}:
        said = recorded_at.isoformat() if recorded_at else ""
        at = said or now.isoformat()
        moments[recorded_at] = said, f"{at}\t{period_of(at[:7])}"
    return moments


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
