"""Django behind granian: header names as they were sent, whole bodies, threads that last."""

# granian's WSGI mode takes `X_Zmrn_User_Id` for `X-Zmrn-User-Id`, so that whoever gets one past the
# gateway is whom he likes; it gives Django no length of a chunked body, a thread to each slow
# upload, and ends idle threads together with their database connections. Its own interface, RSGI,
# leaves all of that to us, at the same speed for a view that asks the database.

import asyncio
import gc
import io
import logging
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # documented, not marked

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
WsgiApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# What a request is refused with before it is looked at; common.middleware words it.
REFUSAL = "accrue.refusal"
SLOWEST_BODY = 60  # seconds
LONGEST_QUEUE = 10  # seconds: whoever waited this long for a thread has most likely left
DISCARDED = 64 * 1024 * 1024  # bytes; so much is read of any body, or the sender hears no answer


class Threaded:
    """An RSGI application that runs a WSGI application in a fixed number of threads."""

    def __init__(self, application: WsgiApplication, *, threads: int, body_limit: int) -> None:
        self.application = application
        self.body_limit = body_limit
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="web")

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # What is loaded by now stays: looked through for garbage, it would stop all threads for
        # 70 ms every 2000 requests. A request leaves some 50 objects that only a collection ends.
        gc.freeze()
        gc.set_threshold(10_000)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.threads.shutdown()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        loop = asyncio.get_running_loop()
        environ = environ_of(scope)
        try:
            if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
                async with asyncio.timeout(SLOWEST_BODY):
                    await self.read_body(environ, protocol)
        except TimeoutError:
            environ[REFUSAL] = 408
        answered = loop.create_future()

        def wake(job: Future[None]) -> None:
            loop.call_soon_threadsafe(answered.set_result, None)

        job = self.threads.submit(self.answer, environ, protocol)
        job.add_done_callback(wake)
        patience = loop.call_later(LONGEST_QUEUE, job.cancel)
        await answered
        patience.cancel()
        if job.cancelled():
            self.answer({**environ, REFUSAL: 503}, protocol)

    async def read_body(self, environ: Environ, protocol: Any) -> None:
        body = bytearray()
        received = 0
        async for chunk in protocol:
            received += len(chunk)
            if len(body) <= self.body_limit:
                body += chunk
            elif received > DISCARDED:
                break
        announced = environ.get("CONTENT_LENGTH", str(received))
        if len(body) <= self.body_limit and announced != str(received):
            environ[REFUSAL] = 400  # the sender left in the middle of it
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)

    def answer(self, environ: Environ, protocol: Any) -> None:
        status, headers = 500, []

        def start_response(line: str, pairs: list[tuple[str, str]], error: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), pairs

        try:
            result = self.application(environ, start_response)
            try:
                if getattr(result, "streaming", False):
                    stream(result, protocol.response_stream(status, headers))
                else:
                    protocol.response_bytes(status, headers, b"".join(result))
            finally:
                if hasattr(result, "close"):
                    result.close()
        except Exception:
            logger.exception("Unexpected error outside of Django")
            protocol.response_empty(500, [])


def stream(chunks: Iterable[bytes], transport: Any) -> None:
    """Hand each chunk over as it comes, until the reader leaves.

    granian takes a chunk at once, from any thread, and keeps what the reader is too slow for: he
    holds no thread, and a stream that nobody reads takes as much memory as it is long.
    """
    with suppress(ProtocolClosed):
        for chunk in chunks:
            for _ in transport.send_bytes(chunk).__await__():
                raise RuntimeError("granian wants us to wait, which this thread cannot")


def environ_of(scope: Any) -> Environ:
    host, _, port = scope.server.rpartition(":")
    environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        # WSGI wants the bytes of the path as if they were Latin-1.
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name in scope.headers.keys():  # noqa: SIM118  # it is no mapping
        if "_" not in name:
            key = WITHOUT_PREFIX.get(name) or f"HTTP_{name.replace('-', '_').upper()}"
            environ[key] = ", ".join(scope.headers.get_all(name))
    if "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority or ""
    return environ


WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
