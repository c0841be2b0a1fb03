"""Many records at once: a verdict for each, whatever is wrong with the others."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from django.db import connection
from msgspec import Struct

from common.problems import Fault
from usage.copying import copy_all
from usage.folding import fold_customers
from usage.metering import INSERT, PLENTY, fetch, means, write
from usage.models import Customer
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

# By their ids: so many are read in a few milliseconds, and to fold each batch costs a tenth of it.
RECORDS_PER_FOLD = 10_000


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


def known(customers: set[int]) -> set[int]:
    found = Customer.objects.filter(pk__in=customers)
    return set(found.values_list("pk", flat=True))


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
