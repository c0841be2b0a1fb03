"""A real HTTP server on a free port of this machine that answers in whatever mood it is told."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar

from usage_client.client import UsageClient

Own = TypeVar("Own", bound="Frontend")


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: object, **headers: str) -> Reply:
        kind = "application/json" if status < 400 else "application/problem+json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(document).encode(), {"Content-Type": kind, **named})


class Exchange:
    """One request, and the ways to answer it; a mood is a function of this."""

    def __init__(self, handler: Handler, request: Request) -> None:
        self._handler = handler
        self.request = request

    def answer(self, request: Request | None = None) -> Reply:
        """What the service says; each call is one more request to it."""
        return self._handler.server.frontend.answer(request or self.request)

    def send(self, reply: Reply, *, pieces: int = 1, seconds: float = 0, cut: int = 0) -> None:
        """The reply: in so many pieces over so many seconds, all but its last `cut` bytes."""
        handler = self._handler
        lines = [f"HTTP/1.1 {reply.status} Mood", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        whole = "\r\n".join([*lines, "", ""]).encode() + reply.body
        whole = whole[: len(whole) - cut]
        step = -(-len(whole) // pieces)
        for start in range(0, len(whole), step):
            handler.wfile.write(whole[start : start + step])
            handler.wfile.flush()
            if seconds:
                self.wait(seconds / pieces)
        if cut:
            self.hang_up()

    def hang_up(self) -> None:
        self._handler.close_connection = True

    def wait(self, seconds: float) -> None:
        """Unless the server stops first."""
        self._handler.server.frontend.stopping.wait(seconds)


Mood = Callable[[Exchange], None]


def well(exchange: Exchange) -> None:
    """As it should be."""
    exchange.send(exchange.answer())


class Frontend:
    """Start it with `with`; `url` is for `UsageClient`."""

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key
        #: All requests that arrived, in order.
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._script: deque[Mood] = deque()
        self._mood: Mood = well
        self._server: Server | None = None
        self._port: Any = 0
        self._clients: list[UsageClient] = []

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def then(self, *moods: Mood) -> None:
        """The moods of the next requests, one each; after them it is as always."""
        self._script.extend(moods)

    def always(self, mood: Mood) -> None:
        self._mood = mood

    def well(self) -> None:
        """Forget all moods."""
        self._script.clear()
        self._mood = well

    def mood(self) -> Mood:
        with suppress(IndexError):
            return self._script.popleft()
        return self._mood

    @property
    def port(self) -> int:
        assert self._port, "it was not started"
        return int(self._port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> UsageClient:
        """A client of this, with a short deadline; closed with the server."""
        client = UsageClient(self.url, self.api_key, **{"deadline": 5.0, **options})
        self._clients.append(client)
        return client

    def start(self) -> None:
        """On a free port, and after `stop` on the same again."""
        self.stopping.clear()
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._server.frontend = self
        self._port = self._server.server_address[1]
        run = self._server.serve_forever
        threading.Thread(target=run, args=[0.05], daemon=True, name="usage-server").start()

    def stop(self) -> None:
        """An outage: connections are refused until `start`. What is recorded stays."""
        server, self._server = self._server, None
        if server:
            self.stopping.set()
            server.shutdown()
            server.server_close()
            server.hang_up_all()

    def __enter__(self: Own) -> Own:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
        self.stop()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True
    frontend: Frontend

    def __init__(self, *args: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def hang_up_all(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, self.headers, self.rfile.read(length))
        frontend = self.server.frontend
        frontend.requests.append(request)
        frontend.mood()(Exchange(self, request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""
