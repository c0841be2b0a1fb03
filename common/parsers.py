"""JSON read strictly: exact decimals, no duplicate keys, nothing that is not JSON."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any

from django.conf import settings
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from common.problems import Fault, InvalidInput, MalformedJSON, TooLarge, escape, fault

LONGEST_NUMBER = 400
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"A body has at most {limit} bytes.")
        return parse_json(body)


class AlwaysJSON(BaseContentNegotiation):
    """There is one representation: whatever `Accept` says, a caller gets JSON."""

    def select_parser(self, request: Request, parsers: list[BaseParser]) -> BaseParser | None:
        content_type, _, parameters = (request.content_type or "").partition(";")
        charset = parameters.strip().lower()
        if content_type.strip().lower() != "application/json":
            return None
        if charset.startswith("charset=") and charset[8:].strip('"') not in ("utf-8", "utf8"):
            return None
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


def parse_json(body: bytes) -> Any:
    """Raises MalformedJSON with line and column, or InvalidInput with the place in the document."""
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            parse_int=exact_integer,
            parse_float=exact_decimal,
            parse_constant=refuse_constant,
            object_pairs_hook=unique,
        )
        faults = impossible_values(value, "")
    except UnicodeDecodeError as error:
        raise malformed("Not UTF-8", body[: error.start].decode()) from None
    except json.JSONDecodeError as error:
        raise malformed(error.msg, text[: error.pos]) from None
    except NotJSON as error:
        raise malformed(str(error), text[: place_of_constant(text)]) from None
    except RecursionError:
        raise MalformedJSON("Nested too deeply.") from None
    if faults:
        raise InvalidInput(*faults[:20])
    return value


def malformed(message: str, before: str) -> MalformedJSON:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return MalformedJSON(f"{message} at line {line} column {column}.", line=line, column=column)


class NotJSON(ValueError):
    """`NaN`, `Infinity`: Python reads them, JSON does not have them."""


def refuse_constant(name: str) -> None:
    raise NotJSON(f"{name} is not JSON")


def place_of_constant(text: str) -> int:
    tokens = re.finditer(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity', text)
    return next(token.start() for token in tokens if not token[0].startswith('"'))


class Oversized:
    """A number that no field holds: refused with its place once the place is known."""


def exact_integer(digits: str) -> int | Oversized:
    return int(digits) if len(digits) <= LONGEST_NUMBER else Oversized()


def exact_decimal(digits: str) -> Decimal | Oversized:
    try:
        number = Decimal(digits)
    except InvalidOperation:
        return Oversized()
    is_near = not number or abs(number.adjusted()) <= LONGEST_NUMBER
    return number if is_near and len(digits) <= LONGEST_NUMBER else Oversized()


class Repeated(dict[str, Any]):
    """An object that named a field twice: refused with its place once the place is known."""

    names: list[str]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = Repeated(found)
        repeated.names = sorted({name for name in names if names.count(name) > 1})
        return repeated
    return found


def impossible_values(value: Any, pointer: str) -> list[Fault]:
    """What no field can take: NUL, lone surrogates, repeated names, numbers beyond all bounds."""
    faults: list[Fault] = []
    if isinstance(value, str):
        faults += unstorable(value, pointer)
    elif isinstance(value, Oversized):
        faults.append(fault(pointer, "too-large", "The number is too large."))
    elif isinstance(value, dict):
        if isinstance(value, Repeated):
            faults += [
                fault(f"{pointer}/{escape(name)}", "duplicate-key", "Named more than once.")
                for name in value.names
            ]
        for name, inner in value.items():
            faults += unstorable(name, pointer)
            faults += impossible_values(inner, f"{pointer}/{escape(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            faults += impossible_values(inner, f"{pointer}/{index}")
    return faults


def unstorable(text: str, pointer: str) -> list[Fault]:
    if "\x00" in text:
        return [fault(pointer, "nul", "NUL is not allowed in text.")]
    if LONE_SURROGATE.search(text):
        return [fault(pointer, "surrogate", "A lone surrogate is not text.")]
    return []
