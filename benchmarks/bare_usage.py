"""The rival: a WSGI function with hand-written SQL and nothing else, under the same server.

A single record is our own two statements, and folds as we do; a batch is a plain COPY that gives no
verdicts, knows no bills and fails whole on one key twice.
"""

import json
import os
from datetime import UTC, datetime
from typing import Any

from benchmarks import bare

ONE, LOOK_UP = os.environ["BARE_ONE"], os.environ["BARE_LOOK_UP"]
PLENTY = int(os.environ["BARE_PLENTY"])
FOLD = "SELECT usage_fold_bills(ARRAY[%s::bigint])"
COPY = """
COPY bench_plain (customer_id, service, units_consumed, price_per_unit, recorded_at, period, owner,
                  idempotency_key) FROM STDIN
"""


def answer(environ: bare.Environ) -> bare.Answer:
    body = json.loads(bare.body_of(environ))
    if "records" in body:
        status, found = "200 OK", many(body["records"])
    else:
        status, found = "201 Created", one(body, environ["HTTP_IDEMPOTENCY_KEY"])
    return status, found


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
        "fingerprint": None,
    }
    bare.connection().execute(ONE, known)
    row = bare.connection().execute(LOOK_UP, {"owner": "bare", "key": key}).fetchone()
    assert row is not None
    if row[1] > PLENTY:
        bare.connection().execute(FOLD, [row[10]])
    return json.dumps([str(column) for column in row[1:]]).encode()


def many(records: list[dict[str, Any]]) -> bytes:
    now = datetime.now(UTC)
    moment, period = now.isoformat(), f"{now:%Y-%m-01}"
    lines = [
        f"{r['customerId']}\t{r['service']}\t{r['unitsConsumed']}\t{r['pricePerUnit']}"
        f"\t{moment}\t{period}\tbare\t{r['idempotencyKey']}\n"
        for r in records
    ]
    with bare.connection().cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write("".join(lines))
    return json.dumps({"written": len(lines)}).encode()


application = bare.application(answer)
