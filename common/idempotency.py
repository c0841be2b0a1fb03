"""Idempotency keys: how they look, when two bodies mean the same, and the one answer they get."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.http import HttpResponse
from rest_framework.request import Request

from common.models import KeyedAnswer
from common.problems import InvalidInput, Problem, fault
from common.renderers import Answer

LONGEST_KEY = 200
VISIBLE = r"[\x21-\x7e]"
VISIBLE_ASCII = re.compile(rf"{VISIBLE}{{1,{LONGEST_KEY}}}")


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

CLAIM = """
INSERT INTO common_keyedanswer (owner, key, fingerprint) VALUES (%s, %s, %s)
ON CONFLICT (owner, key) DO NOTHING
"""


def answer_once(
    *,
    owner: str,
    key: str | None,
    meaning: Mapping[str, Any],
    act: Callable[[], Any],
    status: int = 201,
) -> HttpResponse:
    """The answer of `act` with this status, worked out once for each owner and key.

    `act` returns a JSON body and runs in the transaction that keeps it, so a refusal it raises
    leaves the key free. A retry that meets the first one still running waits for it; then it is
    200 with the first body, to the byte. `meaning` holds all that the request asks for, its
    target included; raises KeyReused when the key had another one. Without a key, `act` just runs.
    """
    with transaction.atomic():
        if key is None:
            return Answer(act(), status)
        mark = fingerprint(meaning)
        # The conflict waits for the other transaction; if that one fails, the key is ours.
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, [owner, key, mark])
            is_first = cursor.rowcount == 1
        answers = KeyedAnswer.objects.filter(owner=owner, key=key)
        if is_first:
            answer = Answer(act(), status)
            answers.update(body=answer.text)
            return answer
        first = answers.get()
    if bytes(first.fingerprint) != mark:
        raise KeyReused()
    replayed = {"Idempotent-Replayed": "true"}
    return HttpResponse(first.body, "application/json", headers=replayed)
