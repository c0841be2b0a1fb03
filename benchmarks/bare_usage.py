"""The rival: a WSGI function with hand-written SQL and nothing else, under the same server.

A single record is our own two statements; a batch is a plain COPY that gives no verdicts, knows no
bills and fails whole on one key twice.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import psycopg

from common.server import Threaded

ONE, LOOK_UP = os.environ["BARE_ONE"], os.environ["BARE_LOOK_UP"]
COPY = """
COPY bench_plain (customer_id, service, units_consumed, price_per_unit, recorded_at, period, owner,
                  idempotency_key) FROM STDIN
"""
local = threading.local()


def connection() -> psycopg.Connection[Any]:
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(os.environ["BARE_DATABASE"], autocommit=True)
        local.connection.prepare_threshold = 1
    return local.connection  # type: ignore[no-any-return]


def wsgi_application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    if "records" in body:
        status, answer = "200 OK", many(body["records"])
    else:
        status, answer = "201 Created", one(body, environ["HTTP_IDEMPOTENCY_KEY"])
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    )
    return [answer]


def one(body: dict[str, Any], key: str) -> bytes:
    now = datetime.now(UTC)
    known = {
        "customer_id": body["customerId"],
        "service": body["service"],
        "units": body["unitsConsumed"],
        "price": body["pricePerUnit"],
        "recorded_at": now,
        "now": now,
        "owner": "bare",
        "key": key,
        "fingerprint": b"",
    }
    connection().execute(ONE, known)
    row = connection().execute(LOOK_UP, {"owner": "bare", "key": key}).fetchone()
    assert row is not None
    return json.dumps([str(column) for column in row[1:]]).encode()


def many(records: list[dict[str, Any]]) -> bytes:
    now = datetime.now(UTC)
    moment, period = now.isoformat(), f"{now:%Y-%m-01}"
    lines = [
        f"{r['customerId']}\t{r['service']}\t{r['unitsConsumed']}\t{r['pricePerUnit']}"
        f"\t{moment}\t{period}\tbare\t{r['idempotencyKey']}\n"
        for r in records
    ]
    with connection().cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write("".join(lines))
    return json.dumps({"written": len(lines)}).encode()


THREADS = int(os.environ.get("WEB_THREADS", "8"))
application = Threaded(wsgi_application, threads=THREADS, body_limit=5_000_000)
