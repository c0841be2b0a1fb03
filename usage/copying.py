"""A whole batch at once, when all its keys are new and all its customers known: nearly always.

By COPY in its binary format (https://www.postgresql.org/docs/current/sql-copy.html, Binary Format),
which takes no longer to write than text, and PostgreSQL a tenth less of its time to take in.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import psycopg
from django.db import IntegrityError, OperationalError, connection
from psycopg.adapt import PyFormat

from usage.metering import PASSING, fetch
from usage.models import first_of_month
from usage.reading import Usage

# The columns in the order in which `packed` has them.
COPY = """
COPY usage_record (id, customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                   owner, created_at, idempotency_key, fingerprint) FROM STDIN (FORMAT binary)
"""
COLUMNS = 11

# Ids are named one by one only when they are not consecutive, as when others drew some meanwhile.
# They need not be on the disk before the records are, which come with a commit of their own.
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
            copy.write(packed(owner, ordered, ids, closings, now))
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


HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
# A row is the number of its columns, and each of them after its length.
length = struct.Struct("!i").pack
start_of_row = struct.Struct("!hiqiq").pack
ID_LENGTH, FINGERPRINT_LENGTH = 8, length(16)


def packs(kind: type) -> Callable[[Any], bytes]:
    """How the driver writes values of this kind, after their length."""
    dump = psycopg.adapters.get_dumper(kind, PyFormat.BINARY)(kind).dump

    def pack(value: Any) -> bytes:
        data = bytes(dump(value))  # type: ignore[arg-type]  # None only for what becomes NULL
        return length(len(data)) + data

    return pack


pack_moment, pack_date, pack_decimal = packs(datetime), packs(date), packs(Decimal)
pack_text = lru_cache(4096)(packs(str))


@lru_cache(4096)
def pack_number(canonical: str) -> bytes:
    return pack_decimal(Decimal(canonical))


def packed(
    owner: str, batch: Sequence[Usage], ids: Iterable[int], closings: Months, now: datetime
) -> bytes:
    """The records, as COPY reads them."""
    moments = moments_of(batch, closings, now)
    made = pack_text(owner) + pack_moment(now)
    parts = [HEADER]
    for id, usage in zip(ids, batch, strict=True):
        said, used = moments[usage.recorded_at]
        # Hardly ever the same again: not worth remembering.
        key = usage.key.encode()
        parts += (
            start_of_row(COLUMNS, ID_LENGTH, id, ID_LENGTH, usage.customer_id),
            pack_text(usage.service),
            pack_number(usage.units_consumed),
            pack_number(usage.price_per_unit),
            used,
            made,
            length(len(key)),
            key,
            FINGERPRINT_LENGTH,
            usage.fingerprint_of(said),
        )
    parts.append(END)
    return b"".join(parts)


def moments_of(
    batch: Sequence[Usage], closings: Months, now: datetime
) -> dict[datetime | None, tuple[str, bytes]]:
    """By `recorded_at`: what the record said, as text, and both columns that follow from it."""

    @cache
    def period(month: date) -> bytes:
        return pack_date(period_in(month, closings, now))

    moments = {}
    for recorded_at in {usage.recorded_at for usage in batch}:
        said = recorded_at.isoformat() if recorded_at else ""
        at = recorded_at or now
        moments[recorded_at] = said, pack_moment(at) + period(first_of_month(at))
    return moments


def period_in(month: date, closings: Months, now: datetime) -> date:
    """As `billing.period_of` has it; the database expects the same."""
    if not any(first <= month <= last for first, last in closings):
        return month
    last = max(last for _, last in closings)
    after = (last + timedelta(days=31)).replace(day=1)
    return max(first_of_month(now), after)
