"""A load generator: keep-alive connections on one thread, every answer checked."""

import itertools
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Request = Callable[[int], bytes]


@dataclass
class Load:
    """What came back in `seconds`: answers by status, and how long each took (s)."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    def milliseconds(self, percent: int) -> float:
        return statistics.quantiles(self.latencies, n=100)[percent - 1] * 1000


class Connection:
    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self.port = port
        self.selector = selector
        self.received = b""
        self.sent_at = 0.0
        self.open()

    def open(self) -> None:
        self.is_last = False
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(self.socket, selectors.EVENT_READ, self)

    def close(self) -> None:
        self.selector.unregister(self.socket)
        self.socket.close()

    def send(self, request: bytes) -> None:
        if self.is_last:
            self.close()
            self.open()
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def status(self) -> int | None:
        """The status once the whole answer is here."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the server hung up")
        self.received += chunk
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return None
        lowered = head.lower()
        start = lowered.find(b"content-length:") + 15
        # As many servers do after a fault.
        self.is_last = b"\r\nconnection: close" in lowered
        length = int(lowered[start : lowered.find(b"\r", start) % (len(lowered) + 1)])
        return int(head[9:12]) if len(body) >= length else None


def run(
    port: int,
    request: Request,
    *,
    connections: int = 16,
    seconds: float = 3.0,
    at_most: int | None = None,
    hung_up_is: int | None = None,
) -> Load:
    """As many requests as come back; `request(n)` gives the bytes of the n-th.

    A server that hangs up without an answer is an error, or counts as the status `hung_up_is`.
    """
    load = Load()
    numbers: Iterator[int] = itertools.count() if at_most is None else iter(range(at_most))
    selector = selectors.DefaultSelector()
    everyone = [Connection(port, selector) for _ in range(connections)]
    started = time.perf_counter()
    for connection in everyone:
        connection.send(request(next(numbers)))
    waiting = connections
    while waiting:
        for key, _ in selector.select():
            connection = key.data
            try:
                status = connection.status()
            except ConnectionError:
                if hung_up_is is None:
                    raise
                status, connection.is_last = hung_up_is, True
            if status is None:
                continue
            now = time.perf_counter()
            load.statuses[status] = load.statuses.get(status, 0) + 1
            load.latencies.append(now - connection.sent_at)
            number = next(numbers, None) if now - started < seconds else None
            if number is None:
                waiting -= 1
            else:
                connection.send(request(number))
    load.seconds = time.perf_counter() - started
    for connection in everyone:
        connection.close()
    selector.close()
    return load


def post(path: str, body: bytes, **headers: str) -> bytes:
    return _request("POST", path, body, {"content-type": "application/json", **headers})


def get(path: str, **headers: str) -> bytes:
    return _request("GET", path, b"", headers)


def _request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
