"""A partner's receiver on a real port, which behaves as it is told: well, badly or not at all."""

import socket
import socketserver
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

Behaviour = Callable[[socket.socket], None]


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: str


class Receiver(socketserver.ThreadingTCPServer):
    """Answers with the next of `behaviours`, with the last one for ever; notes what came."""

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, *behaviours: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours = deque(behaviours or [says(204)])
        self.received: list[Received] = []
        self.guard = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def behave(self, *behaviours: Behaviour) -> None:
        with self.guard:
            self.behaviours = deque(behaviours)

    def next_behaviour(self) -> Behaviour:
        with self.guard:
            return self.behaviours.popleft() if len(self.behaviours) > 1 else self.behaviours[0]

    def handle_error(self, *arguments: Any) -> None:
        """Whoever was cut off does not complain."""


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        _, path, _ = self.rfile.readline().decode().split()
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = self.rfile.read(int(headers.get("content-length", 0))).decode()
        self.server.received.append(Received(path, headers, body))
        self.server.next_behaviour()(self.connection)


@contextmanager
def receiving(*behaviours: Behaviour) -> Iterator[Receiver]:
    with Receiver(*behaviours) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def says(status: int, *headers: str, body: str = "") -> Behaviour:
    lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}", "", body]
    return lambda link: link.sendall("\r\n".join(lines).encode())


def resets(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def hangs_up(link: socket.socket) -> None:
    link.shutdown(socket.SHUT_RDWR)


def talks_nonsense(link: socket.socket) -> None:
    link.sendall(b"\x00\xff SSH-2.0 who are you\r\n\r\n")


def says_nothing(link: socket.socket) -> None:
    with suppress(OSError):
        link.settimeout(10)
        link.recv(1)


def drips(link: socket.socket) -> None:
    """A byte now and then, each in time: no single read ever waits long."""
    with suppress(OSError):
        link.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(400):
            link.sendall(b"x")
            time.sleep(0.02)


def continues(link: socket.socket) -> None:
    """`100 Continue`, for ever."""
    with suppress(OSError):
        for _ in range(2000):
            link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.005)


def pours(status: int) -> Behaviour:
    """The right status, and then a body without end."""

    def pour(link: socket.socket) -> None:
        with suppress(OSError):
            link.sendall(f"HTTP/1.1 {status} OK\r\nContent-Type: text/plain\r\n\r\n".encode())
            for _ in range(1000):
                link.sendall(b"x" * 65536)

    return pour


def has_endless_headers(link: socket.socket) -> None:
    with suppress(OSError):
        link.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Very: long\r\n" * 5000)


def takes_its_time(seconds: float, then: Behaviour) -> Behaviour:
    def wait(link: socket.socket) -> None:
        time.sleep(seconds)
        then(link)

    return wait
