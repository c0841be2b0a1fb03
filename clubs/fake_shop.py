"""A shop to develop and test against: it remembers its orders, and fails in every way on request.

`POST /order/{request_id}` places an order once: the second time it answers 409. How it behaves is
set with `POST /moods`, for all calls or for some, and what it has seen is told by `GET /orders` and
`GET /calls`. Customers of the demo whose id ends in a mood (`…-refuse`) meet that mood.
"""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote

from django.conf import settings

ORDER = re.compile(r"/order/([^/]+)")
KEYS = {"x-api-key": "development-key", "x-api-secret": "development-secret"}


@dataclass
class Mood:
    """How calls are answered: those with these values (`request_id`, `customer_id`, `sku_id`)."""

    name: str = "fine"
    only: dict[str, str] = field(default_factory=dict)
    times: int | None = None  # then it is over
    seconds: float = 0.0
    status: int = 0
    location: str = ""
    body: str = ""

    def is_about(self, call: dict[str, str]) -> bool:
        return self.times != 0 and all(call.get(name) == said for name, said in self.only.items())


class Shop:
    """The orders, by request id, and every call there was; in a file where there is a path."""

    def __init__(self, path: Path | None = None) -> None:
        self.lock = Lock()
        self.path = path
        self.orders: dict[str, dict[str, str]] = {}
        self.calls: list[dict[str, Any]] = []
        self.moods: list[Mood] = []
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                order = json.loads(line)
                self.orders[order["request_id"]] = order

    def take(self, call: dict[str, str]) -> bool:
        """Place the order; whether it is new."""
        with self.lock:
            if call["request_id"] in self.orders:
                return False
            order = {"order_id": f"order-{len(self.orders) + 1}", **call, "status": "placed"}
            self.orders[call["request_id"]] = order
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a") as file:
                    file.write(json.dumps(order) + "\n")
            return True

    def mood_for(self, call: dict[str, str]) -> Mood:
        """The newest that is about it."""
        with self.lock:
            for mood in reversed(self.moods):
                if mood.is_about(call):
                    if mood.times is not None:
                        mood.times -= 1
                    return mood
        _, _, ending = call["customer_id"].rpartition("-")
        return Mood(ending if ending in MOODS else "fine", seconds=60)


class Hangup(Exception):
    """The connection ends without another word."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # of an answer in two parts the second would wait 40 ms
    shop: Shop

    def do_GET(self) -> None:
        found: Any = {"/orders": list(self.shop.orders.values()), "/calls": self.shop.calls}
        if self.path in found:
            self.answer(200, found[self.path])
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = ORDER.fullmatch(self.path)
        try:
            if self.path == "/moods":
                self.set_moods(body)
            elif match:
                self.order(unquote(match[1]), body)
            else:
                self.answer(404, {"error": "no such page"})
        except (Hangup, OSError):
            self.close_connection = True

    def set_moods(self, body: bytes) -> None:
        try:
            moods = [Mood(**each) for each in json.loads(body)]
            unknown = {mood.name for mood in moods} - MOODS.keys()
        except (ValueError, TypeError):
            return self.answer(400, {"error": "a list of moods, please"})
        if unknown:
            return self.answer(400, {"error": f"no such mood: {', '.join(unknown)}"})
        with self.shop.lock:
            self.shop.moods = moods
        return self.answer(200, {})

    def order(self, request_id: str, body: bytes) -> None:
        said = {name: self.headers.get(name) for name in KEYS}
        self.shop.calls.append(
            {"request_id": request_id, "headers": dict(self.headers), "body": body.decode()}
        )
        if not all(said.values()):
            return self.answer(401, {"error": "who are you?"})
        try:
            call = json.loads(body)
            is_good = call.keys() == {"customer_id", "sku_id"}
            is_good = is_good and all(isinstance(value, str) for value in call.values())
        except (ValueError, AttributeError):
            is_good = False
        if not is_good:
            return self.answer(400, {"error": "customer_id and sku_id, please"})
        call = {"request_id": request_id, **call}
        mood = self.shop.mood_for(call)
        return MOODS[mood.name](self, call, mood)

    def fine(self, call: dict[str, str], mood: Mood) -> None:
        is_new = self.shop.take(call)
        order = self.shop.orders[call["request_id"]]
        if is_new:
            self.answer(201, order)
        else:
            self.answer(409, {"error": "the order exists", "order": order})

    def delay(self, call: dict[str, str], mood: Mood) -> None:
        """Takes the order, and its time to say so."""
        self.shop.take(call)
        time.sleep(mood.seconds)
        self.answer(201, self.shop.orders[call["request_id"]])

    def hold(self, call: dict[str, str], mood: Mood) -> None:
        """Thinks it over for long, and takes nothing."""
        time.sleep(mood.seconds)
        raise Hangup

    def drop(self, call: dict[str, str], mood: Mood) -> None:
        raise Hangup

    def die(self, call: dict[str, str], mood: Mood) -> None:
        """After taking the order."""
        self.shop.take(call)
        raise Hangup

    def refuse(self, call: dict[str, str], mood: Mood) -> None:
        self.answer(mood.status or 402, {"error": "the card was declined"})

    def exists(self, call: dict[str, str], mood: Mood) -> None:
        self.write(409, (mood.body or "the order exists").encode())

    def fail(self, call: dict[str, str], mood: Mood) -> None:
        self.answer(mood.status or 500, {"error": "it hurts"})

    def redirect(self, call: dict[str, str], mood: Mood) -> None:
        self.send_response(mood.status or 302)
        self.send_header("Location", mood.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def garbage(self, call: dict[str, str], mood: Mood) -> None:
        """Takes the order, and says something else."""
        self.shop.take(call)
        self.write(mood.status or 200, (mood.body or "<html>?</html>").encode())

    def echo(self, call: dict[str, str], mood: Mood) -> None:
        """Takes the order, and tells everything it was told."""
        self.shop.take(call)
        self.answer(200, {**call, "headers": dict(self.headers)})

    def drip(self, call: dict[str, str], mood: Mood) -> None:
        """Takes the order, and never comes to the end of its answer."""
        self.shop.take(call)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Thoughts: ")
        end = time.monotonic() + mood.seconds
        while time.monotonic() < end:
            self.wfile.write(b".")
            time.sleep(0.05)
        raise Hangup

    def broken(self, call: dict[str, str], mood: Mood) -> None:
        """Takes the order, says so, and breaks off."""
        self.shop.take(call)
        self.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{"order_id": ')
        raise Hangup

    def answer(self, status: int, body: Any) -> None:
        self.write(status, json.dumps(body).encode(), "application/json")

    def write(self, status: int, body: bytes, kind: str = "text/html") -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


MOODS: dict[str, Callable[[Handler, dict[str, str], Mood], None]] = {
    "fine": Handler.fine,
    "delay": Handler.delay,
    "hold": Handler.hold,
    "drop": Handler.drop,
    "die": Handler.die,
    "refuse": Handler.refuse,
    "exists": Handler.exists,
    "fail": Handler.fail,
    "redirect": Handler.redirect,
    "garbage": Handler.garbage,
    "echo": Handler.echo,
    "drip": Handler.drip,
    "broken": Handler.broken,
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def server_on(listener: socket.socket, shop: Shop) -> Server:
    server = Server(listener.getsockname()[:2], type("Handler", (Handler,), {"shop": shop}), False)
    server.socket.close()
    server.socket = listener
    return server


def listen(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=128)


@contextmanager
def open_shop(port: int = 0) -> Iterator[tuple[Shop, str]]:
    """A shop in this process, and its address."""
    shop = Shop()
    server = server_on(listen(port), shop)
    thread = Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield shop, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def serve(listener: socket.socket, path: Path) -> None:
    with suppress(KeyboardInterrupt):
        server_on(listener, Shop(path)).serve_forever()


def stand_in() -> tuple[str, Callable[[], None]]:
    """For `make run`: an address that web and worker find in their settings, and who answers it."""
    listener = listen()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = {
        "ECOMMERCE_URL": address,
        "ECOMMERCE_API_KEY": KEYS["x-api-key"],
        "ECOMMERCE_API_SECRET": KEYS["x-api-secret"],
    }
    # Forked, they have our settings; started anew, they read the environment.
    os.environ |= found
    for name, value in found.items():
        setattr(settings, name, value)
    return address, partial(serve, listener, Path(settings.DATA_DIR) / "fake_shop.jsonl")
