"""POSTs to a stranger: no redirect, no proxy, no long body read, and an end to all patience."""

# `requests` resolves the name itself, again, and bounds the pause between two bytes only: a
# receiver that drips would hold a worker for ever, and a name that leads elsewhere the second
# time would lead us there.

import http.client
import os
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import Self

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from incentives.partners import addresses
from incentives.partners.addresses import Place

SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
LONGEST_BODY = 16 * 1024
SECONDS_FOR_A_BODY = 1.0
SECONDS_TO_CLOSE = 0.1  # whoever breaks off later may have begun to work on it


@dataclass(frozen=True)
class Answer:
    status: int
    retry_after: timedelta | None


class NoAnswer(Exception):
    """Nothing that could be understood came back in time; says in a word why."""


class Line:
    """Messages to one receiver, over one connection while it keeps it open.

    Each connection leads to an address that was looked up and vetted when it was made. Use it for a
    moment only: what the name leads to may change.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None

    def post(self, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
        """Raises addresses.Refused or NoAnswer."""
        place = addresses.place_of(self.url)
        deadline = time.monotonic() + seconds
        request = partial(ask, place=place, body=body, headers=headers, deadline=deadline)
        is_kept = False
        try:
            if self.client is not None and is_quiet(self.client.sock):
                begun = time.monotonic()
                try:
                    answer, is_kept = request(self.client)
                    return answer
                except (ConnectionError, ssl.SSLEOFError):
                    # Who closed it in this very moment did not take it, and is asked again.
                    if time.monotonic() - begun > SECONDS_TO_CLOSE:
                        raise
            self.hang_up()
            self.client = connected(place, deadline)
            answer, is_kept = request(self.client)
            return answer
        except (OSError, http.client.HTTPException) as error:
            is_late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
            raise NoAnswer("timeout" if is_late else word_for(error)) from None
        finally:
            if not is_kept:
                self.hang_up()


def connected(place: Place, deadline: float) -> http.client.HTTPConnection:
    link = addresses.connect(place, seconds=deadline - time.monotonic())
    # Head and body are sent apart: else the second would wait 40 ms for the first to be noted.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if place.scheme == "https":
        try:
            with cut_at(deadline, link):
                link = trust().wrap_socket(link, server_hostname=place.host)
        except BaseException:
            link.close()
            raise
    client = http.client.HTTPConnection(place.host, place.port)
    # It would connect again by itself, and look the name up for it.
    client.auto_open = 0
    client.sock = link
    return client


def ask(
    client: http.client.HTTPConnection,
    *,
    place: Place,
    body: bytes,
    headers: Mapping[str, str],
    deadline: float,
) -> tuple[Answer, bool]:
    """The answer, and whether the connection is good for another."""
    link = client.sock
    with cut_at(deadline, link):
        link.settimeout(max(0.001, deadline - time.monotonic()))
        client.request("POST", place.target, body, {"Host": place.authority, **headers})
        with client.getresponse() as answer:
            if time.monotonic() >= deadline:
                raise TimeoutError  # cut off in the middle of its headers
            found = Answer(answer.status, waiting_time(answer.getheader("Retry-After")))
            # The status is all we want: what is short is read to get past it, and what is long,
            # slow or without end goes with the connection.
            if answer.will_close:
                return found, False
            with suppress(OSError, http.client.HTTPException):
                link.settimeout(SECONDS_FOR_A_BODY)
                answer.read(LONGEST_BODY)
                return found, answer.isclosed()
            return found, False


def is_quiet(link: socket.socket) -> bool:
    """Whether it is open and nothing came that nobody asked for."""
    return not select.select([link], [], [], 0)[0]


@contextmanager
def cut_at(deadline: float, link: socket.socket) -> Iterator[None]:
    """Whoever sends a byte now and then keeps every read alive: the whole has an end."""
    # Of the bare socket: what speaks TLS has no copy.
    with socket.socket(fileno=os.dup(link.fileno())) as same:
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut, [same])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def cut(link: socket.socket) -> None:
    with suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


@cache
def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def word_for(error: Exception) -> str:
    """A kind and never the text: that may quote what the receiver sent."""
    match error:
        case ssl.SSLCertVerificationError():
            return "certificate"
        case ssl.SSLError():
            return "tls"
        case ConnectionRefusedError():
            return "refused"
        case http.client.RemoteDisconnected() | ConnectionError():
            return "disconnected"
        case http.client.HTTPException():
            return "not-http"
    return "network"


def waiting_time(text: str | None) -> timedelta | None:
    """What `Retry-After` asks for: seconds or a date."""
    text = (text or "").strip()
    if SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return max(moment - datetime.now(UTC), timedelta(0))
