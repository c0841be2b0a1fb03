"""A whole batch at once, when all its keys are new and all its customers known: nearly always.

As PostgreSQL's own COPY in its binary format, which it reads in less time than text
(https://www.postgresql.org/docs/current/sql-copy.html, Binary Format).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from operator import attrgetter
from struct import Struct
from typing import Any

import psycopg
from django.db import IntegrityError, OperationalError, connection
from psycopg.adapt import PyFormat

from usage.metering import PASSING, fetch
from usage.models import first_of_month
from usage.reading import Usage

COPY = """
COPY usage_record (id, customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                   owner, idempotency_key, fingerprint) FROM STDIN (FORMAT binary)
"""
COLUMNS = 10
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"

# Ids are consecutive unless somebody else drew some meanwhile. They need not be on the disk before
# the records are, which come with a commit of their own.
AHEAD = """
SELECT set_config('synchronous_commit', 'off', true), min(id), max(id),
       CASE WHEN max(id) - min(id) >= count(*) THEN array_agg(id) END,
       ARRAY(SELECT first_month FROM usage_closing ORDER BY id),
       ARRAY(SELECT last_month FROM usage_closing ORDER BY id)
FROM (SELECT nextval('usage_record_id_seq') AS id FROM generate_series(1, %(count)s::int)) drawn
"""

Months = list[tuple[date, date]]


def copy_all(owner: str, batch: Sequence[Usage], now: datetime) -> dict[str, int] | None:
    """Write all of them: their ids by key. None, with none written, when one cannot be."""
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
            copy.write(written(owner, ordered, ids, closings, now))
    except (IntegrityError, OperationalError) as error:
        if isinstance(error.__cause__, (psycopg.errors.UniqueViolation, *PASSING)):
            return None
        raise
    return dict(zip((usage.key for usage in ordered), ids, strict=True))


def look_ahead(count: int) -> tuple[Sequence[int], Months]:
    """Ids for so many records, and the months that are closed."""
    [(_, first, last, ids, first_months, last_months)] = fetch(AHEAD, {"count": count})
    closings = list(zip(first_months, last_months, strict=True))
    return ids or range(first, last + 1), closings


def written(
    owner: str, batch: Sequence[Usage], ids: Iterable[int], closings: Months, now: datetime
) -> bytes:
    """The records, as COPY reads them."""
    moments = moments_of(batch, closings, now)
    owned = text(owner)
    parts = [HEADER]
    for id, usage in zip(ids, batch, strict=True):
        said, moment = moments[usage.recorded_at]
        # Hardly ever the same again: not worth remembering.
        key = usage.key.encode()
        parts += (
            start(COLUMNS, 8, id, 8, usage.customer_id),
            text(usage.service),
            number(usage.units_consumed),
            number(usage.price_per_unit),
            moment,
            owned,
            length(len(key)),
            key,
            FINGERPRINT_LENGTH,
            usage.fingerprint_of(said),
        )
    parts.append(END)
    return b"".join(parts)


# Each column comes after its length.
length = Struct("!i").pack
FINGERPRINT_LENGTH = length(16)
start = Struct("!hiqiq").pack


def column(kind: type) -> Callable[[Any], bytes]:
    """How the driver writes such values."""
    dump = psycopg.adapters.get_dumper(kind, PyFormat.BINARY)(kind).dump

    def with_length(value: Any) -> bytes:
        data = bytes(dump(value) or b"")
        return length(len(data)) + data

    return with_length


moment_column, day_column, number_column = column(datetime), column(date), column(Decimal)
text = lru_cache(4096)(column(str))


@lru_cache(4096)
def number(canonical: str) -> bytes:
    return number_column(Decimal(canonical))


def moments_of(
    batch: Sequence[Usage], closings: Months, now: datetime
) -> dict[datetime | None, tuple[str, bytes]]:
    """By `recorded_at`: what the record said, as text, and both columns that follow from it."""

    @cache
    def period(month: date) -> bytes:
        return day_column(period_in(month, closings, now))

    moments = {}
    for recorded_at in {usage.recorded_at for usage in batch}:
        said = recorded_at.isoformat() if recorded_at else ""
        at = recorded_at or now
        moments[recorded_at] = said, moment_column(at) + period(first_of_month(at))
    return moments


def period_in(month: date, closings: Months, now: datetime) -> date:
    """As `billing.period_of` has it; the database expects the same."""
    if not any(first <= month <= last for first, last in closings):
        return month
    last = max(last for _, last in closings)
    after = (last + timedelta(days=31)).replace(day=1)
    return max(first_of_month(now), after)
