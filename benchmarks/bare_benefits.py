"""The rival: a WSGI function that only asks what is available, under the same server."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

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
    query = parse_qs(environ["QUERY_STRING"])
    person, venue = int(query["personId"][0]), int(query["venueId"][0])
    parameters = {"person": person, "venue": venue, "at": datetime.now(UTC)}
    rows = connection().execute(STATEMENT, parameters).fetchall()
    answer = json.dumps(
        [
            {"id": id, "venueId": venue, "title": title, "recurrence": recurrence}
            for id, title, recurrence in rows
        ]
    ).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    )
    return [answer]


THREADS = int(os.environ.get("WEB_THREADS", "8"))
application = Threaded(wsgi_application, threads=THREADS, body_limit=1_000_000)
