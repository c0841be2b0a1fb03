"""Idempotency keys: how they look, and when two bodies mean the same."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from common.problems import InvalidInput, Problem, fault

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,200}")


class KeyReused(Problem):
    status, code = 422, "idempotency-key-reused"
    title = "This idempotency key was used with another body"


def key_of(request: Request) -> str | None:
    """The header's value, None without one; anything but 1 to 200 visible ASCII is refused."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not VISIBLE_ASCII.fullmatch(key):
        raise InvalidInput(
            fault("/Idempotency-Key", "invalid", "1 to 200 visible ASCII characters.")
        )
    return key


def required_key_of(request: Request) -> str:
    key = key_of(request)
    if key is None:
        raise InvalidInput(fault("/Idempotency-Key", "required", "This header is required."))
    return key


def fingerprint(meaning: Mapping[str, Any]) -> bytes:
    """32 bytes, equal for bodies that mean the same: `0.05`, `0.050` and the order of fields."""
    return hashlib.sha256(CANONICAL.encode(meaning).encode()).digest()


def plain(value: object) -> str:
    """Other spellings of the same value end up here as the same text."""
    match value:
        case Decimal():
            text = f"{value:f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
            return text if value else "0"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID():
            return str(value)
    raise TypeError(f"{type(value)} has no canonical form")


CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=plain)
