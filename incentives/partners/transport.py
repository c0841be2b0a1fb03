"""One POST to a stranger: no redirect, no proxy, no body read, and an end to all patience."""

# `requests` resolves the name itself, again, and bounds the pause between two bytes only: a
# receiver that drips would hold a worker for ever, and a name that leads elsewhere the second
# time would lead us there.

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from incentives.partners import addresses
from incentives.partners.addresses import Place

SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True)
class Answer:
    status: int
    retry_after: timedelta | None


class NoAnswer(Exception):
    """Nothing that could be understood came back in time; says in a word why."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
    """Raises addresses.Refused or NoAnswer."""
    place = addresses.place_of(url)
    deadline = time.monotonic() + seconds
    try:
        with connection(place, deadline) as client:
            everything = {"Host": place.authority, "Connection": "close", **headers}
            client.request("POST", place.target, body, everything)
            # The status is all we want: what is left of the answer goes with the connection.
            answer = client.getresponse()
            if time.monotonic() >= deadline:
                raise TimeoutError  # cut off in the middle of its headers
            return Answer(answer.status, waiting_time(answer.getheader("Retry-After")))
    except (OSError, http.client.HTTPException) as error:
        is_late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
        raise NoAnswer("timeout" if is_late else word_for(error)) from None


@contextmanager
def connection(place: Place, deadline: float) -> Iterator[http.client.HTTPConnection]:
    seconds = deadline - time.monotonic()
    with addresses.connect(place, seconds=seconds) as link, cut_at(deadline, link):
        if place.scheme == "https":
            link = trust().wrap_socket(link, server_hostname=place.host)
        client = http.client.HTTPConnection(place.host, place.port)
        client.sock = link
        try:
            yield client
        finally:
            client.close()
            link.close()


@contextmanager
def cut_at(deadline: float, link: socket.socket) -> Iterator[None]:
    """Whoever sends a byte now and then keeps every read alive: the whole has an end."""
    with link.dup() as same:
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
