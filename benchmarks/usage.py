"""Recording usage: singly and in batches, one hot customer, and how it grows."""

import json
import os
import random
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from django.conf import settings
from django.db import connection

from benchmarks import load, server
from benchmarks.report import heading, ratio
from common.models import ApiKey
from usage import folding, metering, proof

MANY, HOT = 10_000, 1
BATCH = 1000
SERVICES = [f"Service {number}" for number in range(8)]
# To how many records it grows; USAGE_ROWS=1000000,10000000,50000000 takes an hour, for the filling.
SIZES = [int(size) for size in os.environ.get("USAGE_ROWS", "1000000").split(",")]
SEED_STEP = 1_000_000
PATH = "/api/v1/usage/"


def run() -> None:
    _, secret = ApiKey.issue(owner="bench", scopes=["usage.write", "usage.read"])
    prepare()
    parameters = connection.get_connection_params()
    dsn = f"host={parameters['host']} dbname={parameters['dbname']} user={parameters['user']}"
    with (
        server.serving(
            "benchmarks.bare_usage:application",
            BARE_ONE=metering.ONE,
            BARE_LOOK_UP=metering.LOOK_UP,
            BARE_PLENTY=str(metering.PLENTY),
            BARE_DATABASE=dsn,
        ) as bare,
        server.serving(settings.RSGI_APPLICATION) as ours,
        server.serving(
            settings.RSGI_APPLICATION, DJANGO_SETTINGS_MODULE="benchmarks.naive_settings"
        ) as naive,
    ):
        for port in (bare, ours, naive):
            load.run(port, batch(secret, MANY), seconds=2)
        at_first = records(), rates(ours, secret)
        singles(ours, bare, secret)
        batches(ours, bare, naive, secret)
        folded()
        growth(ours, secret, at_first)
    started = time.perf_counter()
    found = list(proof.discrepancies())
    assert not found, found[:3]
    print(f"afterwards: {records():,} records proved in {time.perf_counter() - started:.0f} s")


# The same columns, but for the turn; found by id, by key and by bill; no checks, no triggers.
PLAIN = """
CREATE TABLE bench_plain (
    LIKE usage_record INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING GENERATED
);
ALTER TABLE bench_plain DROP turn, ADD PRIMARY KEY (id), ADD UNIQUE (owner, idempotency_key);
CREATE UNIQUE INDEX ON bench_plain (corrects_id) WHERE corrects_id IS NOT NULL;
CREATE INDEX ON bench_plain (customer_id, period);
"""


def prepare() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customer (id, name) SELECT n, 'Customer ' || n"
            " FROM generate_series(1, %s) n",
            [MANY],
        )
        cursor.execute(PLAIN)


def singles(ours: int, bare: int, secret: str) -> None:
    heading("Usage: records per second, singly")
    ratio(
        f"ours : bare WSGI, the same statements; {MANY:,} customers",
        partial(rate, ours, single(secret, MANY)),
        partial(rate, bare, single(secret, MANY)),
    )
    ratio(
        "ours : bare WSGI, the same statements; one hot customer",
        partial(rate, ours, single(secret, HOT)),
        partial(rate, bare, single(secret, HOT)),
    )
    ratio(
        f"one hot customer : {MANY:,} customers, both ours",
        partial(rate, ours, single(secret, HOT)),
        partial(rate, ours, single(secret, MANY)),
    )


def batches(ours: int, bare: int, naive: int, secret: str) -> None:
    heading(f"Usage: records per second in batches of {BATCH}")
    ratio(
        f"ours : bare WSGI, plain COPY; {MANY:,} customers",
        lambda: BATCH * rate(ours, batch(secret, MANY), connections=4),
        lambda: BATCH * rate(bare, batch(secret, MANY), connections=4),
    )
    ratio(
        "ours : bare WSGI, plain COPY; one hot customer",
        lambda: BATCH * rate(ours, batch(secret, HOT), connections=4),
        lambda: BATCH * rate(bare, batch(secret, HOT), connections=4),
    )
    ratio(
        "ours : a model serializer with many=True and save()",
        lambda: BATCH * rate(ours, batch(secret, MANY), connections=4),
        lambda: BATCH * rate(naive, batch(secret, MANY), connections=4),
        rounds=3,
    )


UNFOLDED = """
SELECT count(*) FROM usage_record JOIN usage_foldedbill USING (customer_id, period)
WHERE turn > folded_to OR turn = ANY (under_way)
"""


def folded() -> None:
    """What the worker does each minute with what batches have left."""
    with connection.cursor() as cursor:
        cursor.execute(UNFOLDED)
        [unfolded] = cursor.fetchone()
    started = time.perf_counter()
    bills = folding.fold()
    seconds = time.perf_counter() - started
    each = 1e6 * seconds / max(unfolded, 1)
    print(f"{unfolded:,} records of {bills:,} bills folded in {seconds:.1f} s, {each:.1f} µs each")


KINDS = ["singly", "one hot customer", "in batches", "bills read"]


def rates(ours: int, secret: str) -> list[float]:
    """Of each of KINDS a second."""
    measures: list[Callable[[], float]] = [
        partial(rate, ours, single(secret, MANY)),
        partial(rate, ours, single(secret, HOT)),
        lambda: BATCH * rate(ours, batch(secret, MANY), connections=4),
        partial(rate, ours, bills(secret)),
    ]
    return [statistics.median(measure() for _ in range(3)) for measure in measures]


def growth(ours: int, secret: str, at_first: tuple[int, list[float]]) -> None:
    heading("Usage: how it grows, ours alone; a second, and in proportion to the first row")
    print(f"{'records':>12}" + "".join(f"{kind:>22}" for kind in KINDS))
    before, first = at_first
    print_rates(before, first, first)
    for size in SIZES:
        grow_to(size)
        print_rates(records(), rates(ours, secret), first)


def print_rates(size: int, now: list[float], first: list[float]) -> None:
    cells = [f"{rate:14,.0f} ({rate / then:4.2f})" for rate, then in zip(now, first, strict=True)]
    print(f"{size:12,}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def bills(secret: str) -> load.Request:
    """A customer's bills with their lines."""

    def request(number: int) -> bytes:
        customer = random.randint(1, MANY)
        return load.get(f"{PATH}bills/?customerId={customer}", Authorization=f"Bearer {secret}")

    return request


def usage(customers: int) -> dict[str, object]:
    return {
        "customerId": random.randint(1, customers),
        "service": random.choice(SERVICES),
        "unitsConsumed": random.randint(1, 1000),
        "pricePerUnit": "0.05",
    }


def single(secret: str, customers: int) -> load.Request:
    def request(number: int) -> bytes:
        return load.post(
            PATH,
            json.dumps(usage(customers)).encode(),
            Idempotency_Key=f"{number}-{uuid.uuid4().hex}",
            Authorization=f"Bearer {secret}",
        )

    return request


def batch(secret: str, customers: int) -> load.Request:
    # The keys alone change: what it costs to make up a batch is not what is measured.
    known = [json.dumps(usage(customers))[:-1] for _ in range(BATCH)]

    def request(number: int) -> bytes:
        prefix = f"{number}-{uuid.uuid4().hex}"
        keyed = [f'{each}, "idempotencyKey": "{prefix}-{n}"}}' for n, each in enumerate(known)]
        body = f'{{"records": [{", ".join(keyed)}]}}'.encode()
        return load.post(PATH, body, Authorization=f"Bearer {secret}")

    return request


def rate(port: int, request: load.Request, *, connections: int = 16) -> float:
    result = load.run(port, request, connections=connections)
    assert set(result.statuses) <= {200, 201}, result.statuses
    return result.rate


SEED = """
INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                          owner, idempotency_key)
SELECT 1 + random() * %(customers)s::int, 'Service ' || (random() * 7)::int,
       1 + (random() * 1000)::int, 0.05, %(now)s::timestamptz, %(period)s::date, 'seed',
       gen_random_uuid()::text
FROM generate_series(1, %(rows)s::int)
"""


# Dropped to fill a table and built again: every row would go to three random places.
INDEXES = {
    "ALTER TABLE usage_record DROP CONSTRAINT usage_record_pkey": (
        "ALTER TABLE usage_record ADD CONSTRAINT usage_record_pkey PRIMARY KEY (id)"
    ),
    "ALTER TABLE usage_record DROP CONSTRAINT usage_record_key_unique": (
        "ALTER TABLE usage_record ADD CONSTRAINT usage_record_key_unique"
        " UNIQUE (owner, idempotency_key)"
    ),
    "DROP INDEX usage_record_of_bill": (
        "CREATE INDEX usage_record_of_bill ON usage_record (customer_id, period, turn)"
    ),
}


def grow_to(size: int) -> None:
    """With records that come by SQL; the trigger adds them to their bills."""
    now = datetime.now(UTC)
    started, before = time.perf_counter(), records()
    missing = size - before
    if missing <= 0:
        return
    with connection.cursor() as cursor:
        for drop in INDEXES:
            cursor.execute(drop)
        period = now.date().replace(day=1)
        while missing > 0:
            rows = min(missing, SEED_STEP)
            known = {"customers": MANY - 1, "rows": rows, "now": now, "period": period}
            cursor.execute(SEED, known)
            missing -= rows
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for create in INDEXES.values():
            cursor.execute(create)
        folding.fold()
        cursor.execute("VACUUM ANALYZE usage_record, usage_foldedbill, usage_foldedline")
    seconds = time.perf_counter() - started
    grown = size - before
    print(f"{grown:,} records by SQL in {seconds:.0f} s: {grown / seconds:,.0f} a second")


def records() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_record")
        return int(cursor.fetchone()[0])
