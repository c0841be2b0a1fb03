"""What the rivals have in common: a WSGI function on one connection a thread, under our server."""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from common.server import Threaded

Environ = dict[str, Any]
Answer = tuple[str, bytes]  # the status line and JSON

local = threading.local()


def connection() -> psycopg.Connection[Any]:
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(os.environ["BARE_DATABASE"], autocommit=True)
        local.connection.prepare_threshold = 1
    return local.connection  # type: ignore[no-any-return]


def body_of(environ: Environ) -> bytes:
    return environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))  # type: ignore[no-any-return]


def application(answer: Callable[[Environ], Answer]) -> Threaded:
    def respond(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, body = answer(environ)
        length = ("Content-Length", str(len(body)))
        start_response(status, [("Content-Type", "application/json"), length])
        return [body]

    threads = int(os.environ.get("WEB_THREADS", "8"))
    return Threaded(respond, threads=threads, body_limit=5_000_000)
