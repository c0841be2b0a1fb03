"""The rival: a WSGI function that does nothing but the ledger's own SQL, under the same server."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from common.server import Threaded

STATEMENT = os.environ["BARE_STATEMENT"]
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
    row = (
        connection()
        .execute(
            STATEMENT,
            {
                **body,
                "key": environ["HTTP_IDEMPOTENCY_KEY"],
                "owner": "bare",
                "counterparty": "issuer",
                "reference": "",
                "reason": "",
                "corrects": None,
                "fingerprint": b"",
            },
        )
        .fetchone()
    )
    assert row is not None
    answer = json.dumps([str(column) for column in row]).encode()
    start_response(
        "201 Created",
        [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
    )
    return [answer]


THREADS = int(os.environ.get("WEB_THREADS", "8"))
application = Threaded(wsgi_application, threads=THREADS, body_limit=1_000_000)
