"""The shop: one call, and an honest word about how it went."""

import json
import logging
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from threading import Timer
from typing import Any

import requests
from django.conf import settings
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from common.problems import Problem

logger = logging.getLogger(__name__)

LARGEST_ORDER = 64 * 1024  # bytes; whatever is longer is not kept
# Long enough for a far continent, and a server that does not even accept has got nothing from us.
SECONDS_TO_CONNECT = 5.0
EXISTS = re.compile(rb"exist|already|duplicate", re.IGNORECASE)
DENIES = re.compile(rb"(not|n't|no longer) exist", re.IGNORECASE)
WORDLESS = re.compile(rb"(null|[\s\[\]{}\"])*")


class ShopNotConfigured(Problem):
    status, code, title = 503, "shop-not-configured", "No shop is configured to place orders with"


class Outcome(Enum):
    PLACED = "placed"
    EXISTED = "existed"
    REFUSED = "refused"  # certainly no order
    UNKNOWN = "unknown"  # an order or none


@dataclass(frozen=True)
class Answer:
    """`reason` never quotes what was sent; `status` is None where nothing came back."""

    outcome: Outcome
    reason: str = ""
    order: Any = None
    status: int | None = None
    retry_after: str = ""
    # Whether the refusal says something about the order, and not just about this call.
    is_about_order: bool = True


class Line:
    """One call's connection: whether it ever stood, and its end at the latest after `seconds`.

    Read timeouts alone would let a server that drips its answer hold us for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.stood = False
        self.is_cut = False
        self.twins: list[socket.socket] = []
        self.timer = Timer(seconds, self.cut)
        self.timer.daemon = True

    def open(self, link: socket.socket) -> socket.socket:
        self.twins.append(link.dup())  # TLS takes the original away
        if self.is_cut:  # looking the name up took all the time: nothing is sent any more
            link.close()
            raise TimeoutError
        return link

    def cut(self) -> None:
        self.is_cut = True
        for twin in self.twins:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "Line":
        self.timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.timer.cancel()
        for twin in self.twins:
            twin.close()


class Plain(HTTPConnection):
    def __init__(self, line: Line, **options: Any) -> None:
        super().__init__(**options)
        self.line = line

    def _new_conn(self) -> socket.socket:
        return self.line.open(super()._new_conn())

    def connect(self) -> None:
        super().connect()
        self.line.stood = True


class Encrypted(HTTPSConnection):
    def __init__(self, line: Line, **options: Any) -> None:
        super().__init__(**options)
        self.line = line

    def _new_conn(self) -> socket.socket:
        return self.line.open(super()._new_conn())

    def connect(self) -> None:
        super().connect()
        self.line.stood = True


class Watched(HTTPAdapter):
    """Connections on this line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(pool, HTTPConnectionPool, Plain, self.line),
            "https": partial(pool, HTTPSConnectionPool, Encrypted, self.line),
        }


def pool(kind: Any, connection: Any, line: Line, *arguments: Any, **options: Any) -> Any:
    made = kind(*arguments, **options)
    made.ConnectionCls = partial(connection, line)
    return made


def is_away(status: int | None) -> bool:
    """Whether such a refusal is everybody's: not reached, not let in, or too many calls."""
    return status in (None, 401, 403, 429)


def is_configured() -> bool:
    # Whether it wants our keys the shop decides; a check says when we have none.
    return bool(settings.ECOMMERCE_URL)


@sensitive_variables()
def place_order(*, request_id: str, customer_id: str, sku_id: str) -> Answer:
    """Ask for the order once. Never raises, and is back within the timeout and a little.

    A new connection for each call: on a kept one, nobody knows what a reset means.
    """
    seconds = settings.ECOMMERCE_TIMEOUT
    with Line(seconds) as line, requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc gets to see our keys
        for scheme in ("http://", "https://"):
            session.mount(scheme, Watched(line))
        try:
            with session.post(
                f"{settings.ECOMMERCE_URL.rstrip('/')}/order/{request_id}",
                json={"customer_id": customer_id, "sku_id": sku_id},
                headers={
                    "x-api-key": settings.ECOMMERCE_API_KEY,
                    "x-api-secret": settings.ECOMMERCE_API_SECRET,
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                timeout=(min(SECONDS_TO_CONNECT, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                if (
                    line.is_cut
                ):  # in the middle of the headers, which the library takes for their end
                    return Answer(Outcome.UNKNOWN, "No answer from the shop: timeout")
                return judged(response, request_id)
        except Exception as error:
            # Only its kind is told on: its text and its request may hold our keys.
            kind = "timeout" if line.is_cut or is_timeout(error) else type(error).__name__
            if line.stood:
                return Answer(Outcome.UNKNOWN, f"No answer from the shop: {kind}")
            return Answer(
                Outcome.REFUSED, f"The shop cannot be reached: {kind}", is_about_order=False
            )


def is_timeout(error: Exception) -> bool:
    return isinstance(error, requests.Timeout)


def judged(response: requests.Response, request_id: str) -> Answer:
    status = response.status_code
    body = body_of(response)
    if 200 <= status < 300:
        return Answer(Outcome.PLACED, order=order_in(body), status=status)
    if status == 409 and is_about_existing(body, request_id):
        return Answer(
            Outcome.EXISTED, "The shop had this order", order=order_in(body), status=status
        )
    reason = f"The shop answered {status}"
    if 400 <= status < 500:
        return Answer(
            Outcome.REFUSED,
            reason,
            status=status,
            retry_after=retry_after(response),
            # Not let in, or too busy to look: the order was not even looked for.
            is_about_order=status not in (401, 403, 404, 405, 407, 408, 421, 425, 429),
        )
    return Answer(Outcome.UNKNOWN, reason, status=status)


def body_of(response: requests.Response) -> bytes | None:
    """None when it is too long or broke off: the status alone says what happened."""
    body = b""
    try:
        while part := response.raw.read(LARGEST_ORDER + 1 - len(body)):
            body += part
            if len(body) > LARGEST_ORDER:
                return None
    except Exception:
        return None
    return body


def is_about_existing(body: bytes | None, request_id: str) -> bool:
    """A 409 without a word is about the very thing at the address: the order."""
    words = body or b""
    is_silent = bool(WORDLESS.fullmatch(words))
    says_so = bool(EXISTS.search(words)) and not DENIES.search(words)
    return is_silent or says_so or request_id.encode() in words


def order_in(body: bytes | None) -> Any:
    """The JSON that the shop answered, None if it cannot be kept as it is, or tells our keys."""
    try:
        order = json.loads((body or b"").decode(), parse_constant=refuse)
        json.dumps(order, ensure_ascii=False, allow_nan=False).encode()  # no lone surrogate
    except (ValueError, RecursionError):
        return None
    text = json.dumps(order)
    quoted = [
        json.dumps(each)
        for each in (settings.ECOMMERCE_API_KEY, settings.ECOMMERCE_API_SECRET)
        if each
    ]
    # A short one may be part of a word, in any order.
    told = any((each if len(each) < 10 else each[1:-1]) in text for each in quoted)
    return None if told or "\\u0000" in text else order


def refuse(constant: str) -> Any:
    raise ValueError(constant)


def retry_after(response: requests.Response) -> str:
    given = response.headers.get("Retry-After", "")
    return given if re.fullmatch(r"[0-9]{1,6}", given, re.ASCII) else ""
