"""The rival: a WSGI function that inserts an event as it comes and does nothing else."""

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
    event = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    row = [event[name] for name in ("id", "user_id", "type", "occurred_at")]
    done = connection().execute(STATEMENT, ["bare", *row, event.get("timezone", ""), "{}"])
    answer = json.dumps({"accepted": done.rowcount, "duplicates": 1 - done.rowcount}).encode()
    start_response(
        "202 Accepted",
        [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
    )
    return [answer]


THREADS = int(os.environ.get("WEB_THREADS", "8"))
application = Threaded(wsgi_application, threads=THREADS, body_limit=1_000_000)
