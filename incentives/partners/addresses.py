"""Where a webhook may go: to public addresses only, and to the very one that was looked at."""

import re
import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings

LONGEST_URL = 500
# Strict, so that nobody's parser reads another host in it. A name in another script is written in
# its ASCII form (xn--…).
URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>/[!-~]*)?",
    re.ASCII,
)
NOT_IN_A_TARGET = re.compile(r'[#\\"<>^`{|}]')

# What `is_global` leaves open: addresses that carry another one in them, and relays to such.
DISGUISES = [
    ip_network(network)
    for network in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "fec0::/10",
    )
]


class Refused(Exception):
    """Not an address that we send to; says why."""


class Unresolved(Refused):
    """The name has no address, now."""


@dataclass(frozen=True)
class Place:
    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_usual = self.port == (443 if self.scheme == "https" else 80)
        return host if is_usual else f"{host}:{self.port}"


def place_of(url: str) -> Place:
    """The parts of an address that we might send to. Raises Refused."""
    match = URL.fullmatch(url)
    if match is None or len(url) > LONGEST_URL or NOT_IN_A_TARGET.search(match["target"] or ""):
        raise Refused(
            f"An address like https://name/path: ASCII, at most {LONGEST_URL} characters, "
            "without user name, password or fragment."
        )
    if match["scheme"] == "http" and not settings.WEBHOOKS_TO_LOOPBACK:
        raise Refused("Webhooks go by https only.")
    port = int(match["port"] or (443 if match["scheme"] == "https" else 80))
    if not 1 <= port <= 65535:
        raise Refused("There is no such port.")
    host = match["host"].strip("[]").lower()
    return Place(match["scheme"], host, port, match["target"] or "/")


def vetted(place: Place) -> list[tuple[str, int]]:
    """Where this name leads now: addresses and port, none of them private.

    Raises Refused when only one of them is: an answer that mixes both is an attempt.
    """
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unresolved(f"{place.host} has no address.") from None
    addresses = list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
    if not addresses:
        raise Unresolved(f"{place.host} has no address.")
    for address in addresses:
        if not may_be_reached(ip_address(address), place.scheme):
            raise Refused(f"{place.host} does not lead to a public address.")
    return [(address, place.port) for address in addresses]


def may_be_reached(address: IPv4Address | IPv6Address, scheme: str) -> bool:
    if address.is_loopback:
        return bool(settings.WEBHOOKS_TO_LOOPBACK)
    return scheme == "https" and is_public(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in DISGUISES)
    )


def connect(place: Place, *, seconds: float) -> socket.socket:
    """A connection to an address that was vetted just now, whatever the name leads to next.

    Raises Refused, or OSError when none of them answers within these seconds.
    """
    deadline = time.monotonic() + seconds
    failure: OSError = TimeoutError()
    for address in vetted(place):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        try:
            return socket.create_connection(address, timeout=remaining)
        except OSError as error:
            failure = error
    raise failure
