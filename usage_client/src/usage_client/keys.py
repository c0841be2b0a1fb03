"""Idempotency keys: from a name of the business event, or fresh; fixed before anything is sent."""

import hashlib
import os
import re
import time
import unicodedata

from usage_client.errors import InvalidRecord, WrongType

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,200}")
MOST_62, VARIANT = (1 << 62) - 1, 1 << 63


def key_for(idempotency_key: str | None, identity: str | None) -> str:
    if idempotency_key is not None and identity is not None:
        raise InvalidRecord.at("idempotency_key", "give this or an identity, not both.")
    if idempotency_key is not None:
        return checked(idempotency_key)
    return fresh() if identity is None else derived(identity)


def checked(key: object) -> str:
    if not isinstance(key, str):
        raise WrongType.at("idempotency_key", f"must be text, not {type(key).__name__}.")
    if not VISIBLE_ASCII.fullmatch(key):
        raise InvalidRecord.at("idempotency_key", "1 to 200 visible ASCII characters.")
    return key


def derived(identity: object) -> str:
    """The same key for the same text, in every process and every release.

    Only the identity goes in, not customer, service or numbers: when those change under one
    identity the service says conflict, where another key would bill twice. The prefix keeps
    derived keys apart from keys that callers choose; the service keeps teams apart.
    """
    if not isinstance(identity, str):
        raise WrongType.at("identity", f"must be text, not {type(identity).__name__}.")
    if not identity.strip():
        raise InvalidRecord.at("identity", "names the business event; it cannot be empty.")
    try:
        # An é is one character or two, depending on whose keyboard; it is the same event.
        exact = unicodedata.normalize("NFC", identity).encode()
    except UnicodeEncodeError:
        raise InvalidRecord.at("identity", "is not valid text (a lone surrogate).") from None
    return "identity-" + hashlib.sha256(b"usage-client:1:" + exact).hexdigest()


def fresh() -> str:
    """A UUIDv7: in the order of time, so that the service's index grows at its end."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    # 48 bits of time, the version, 12 of chance, the variant, 62 of chance.
    text = f"{milliseconds:012x}7{chance >> 68:03x}{(chance & MOST_62) | VARIANT:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
