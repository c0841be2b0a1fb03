"""The client library: what it adds to posting the same bytes by hand with requests."""

import itertools
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import requests
from django.conf import settings
from django.db import connection

from benchmarks import server
from benchmarks.report import heading, ratio
from common.models import ApiKey

# The client is no part of this environment; other teams install it.
sys.path.append(str(settings.BASE_DIR / "usage_client" / "src"))

from usage_client import Usage, UsageClient

CUSTOMERS = 100
SECONDS = float(os.environ.get("USAGE_CLIENT_SECONDS", "2"))
BATCH = 1000
RECORDS_URL = "/api/v1/usage/"
numbers = itertools.count(1)


def run() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customer (id, name) SELECT n, 'customer ' || n"
            " FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            [CUSTOMERS],
        )
    _, secret = ApiKey.issue(owner="bench-client", scopes=["usage.write"])
    with server.serving(settings.RSGI_APPLICATION) as port:
        url = f"http://localhost:{port}"
        heading("Usage client: records per second (client : requests by hand, same bytes)")
        with UsageClient(url, secret, deadline=60) as client, by_hand(secret) as session:
            for label, one, bare, records in (
                ("record()", partial(record, client), partial(post, session, url), 1),
                (
                    f"record_many() of {BATCH}",
                    partial(record_many, client),
                    partial(post_many, session, url),
                    BATCH,
                ),
            ):
                for once in (one, bare):
                    once()
                ratio(
                    f"{label}, waiting for the service included",
                    partial(rate, one, records),
                    partial(rate, bare, records),
                )
                ratio(
                    f"{label}, our own processor time alone",
                    partial(rate, one, records, clock=time.process_time),
                    partial(rate, bare, records, clock=time.process_time),
                )
            heading("Usage client: records accepted per second (buffer : by hand, one by one)")
            one_by_one = partial(rate, partial(post, session, url), 1)
            with client.buffered() as buffer:
                ratio(
                    "buffered, until they are recorded",
                    lambda: flushed(buffer.record, buffer.flush),
                    one_by_one,
                )
            with tempfile.TemporaryDirectory() as directory:
                spool = Path(directory) / "spool"
                with client.buffered(spool=spool) as buffer:
                    ratio(
                        "with a spool, on the disk before accepted",
                        lambda: flushed(buffer.record, buffer.flush),
                        one_by_one,
                    )


def by_hand(secret: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {secret}"
    session.headers["Content-Type"] = "application/json"
    return session


def fields() -> dict[str, object]:
    number = next(numbers)
    return {
        "customer_id": number % CUSTOMERS + 1,
        "service": f"service {number % 5}",
        "units_consumed": number % 1000 + 1,
        "price_per_unit": "0.05",
    }


def line() -> bytes:
    number = next(numbers)
    return (
        f'{{"customerId":{number % CUSTOMERS + 1},"service":"service {number % 5}",'
        f'"unitsConsumed":"{number % 1000 + 1}","pricePerUnit":"0.05",'
        f'"idempotencyKey":"{uuid.uuid4()}"}}'
    ).encode()


def record(client: UsageClient) -> None:
    client.record(**fields())


def record_many(client: UsageClient) -> None:
    results = client.record_many(Usage(**fields()) for _ in range(BATCH))
    assert all(each.status == "created" for each in results)


def post(session: requests.Session, url: str) -> None:
    response = session.post(url + RECORDS_URL, data=line())
    assert response.status_code == 201, response.text
    response.json()


def post_many(session: requests.Session, url: str) -> None:
    body = b'{"records":[%s]}' % b",".join(line() for _ in range(BATCH))
    response = session.post(url + RECORDS_URL, data=body)
    assert response.status_code == 200, response.text
    assert len(response.json()["results"]) == BATCH


def rate(
    once: Callable[[], None], records: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    started, started_at, done = clock(), time.perf_counter(), 0
    while time.perf_counter() - started_at < SECONDS:
        once()
        done += records
    return done / (clock() - started)


def flushed(accept: Callable[..., object], flush: Callable[..., object]) -> float:
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        accept(**fields())
        done += 1
    flush(120)
    return done / (time.perf_counter() - started)
