"""JSON read strictly: exact decimals, no duplicate keys, nothing that is not JSON."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import islice
from math import isinf
from typing import IO, Any

from django.conf import settings
from django.utils.http import parse_header_parameters
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from common.problems import Fault, InvalidInput, MalformedJSON, TooLarge, escape, fault

LONGEST_NUMBER = 400
# Beyond a double most readers of JSON see infinity; who writes such a number means none.
LARGEST_EXPONENT = 308
DEEPEST = 50
MOST_FAULTS = 20
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A body without any of these has nothing that only a walk through it would find.
SUSPICIOUS = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{\]}]|NaN|-?Infinity')


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
        return self.read(body)

    def read(self, body: bytes) -> Any:
        return parse_json(body)


class AlwaysJSON(BaseContentNegotiation):
    """There is one representation: whatever `Accept` says, a caller gets JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        media_type, parameters = parse_header_parameters(request.content_type or "")
        if media_type != "application/json":
            return None
        if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            return None
        if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            return None
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


def parse_json(body: bytes) -> Any:
    """Raises MalformedJSON with line and column, or InvalidInput with the place in the document."""
    value, is_suspect = decode_json(body)
    if is_suspect and (faults := list(islice(impossible_values(value, ""), MOST_FAULTS))):
        raise InvalidInput(*faults)
    return value


def decode_json(body: bytes) -> tuple[Any, bool]:
    """What it says, and whether `impossible_values` has to look for what no field can take.

    Raises MalformedJSON.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise malformed("Not UTF-8", body[: error.start].decode()) from None
    try:
        return decode(STRICT, text), bool(SUSPICIOUS.search(text))
    except Unusable:
        # Again, because only in a whole document a fault has its place.
        return decode(FORGIVING, text), True


def decode(decoder: json.JSONDecoder, text: str) -> Any:
    try:
        value = decoder.decode(text)
        if text.count("[") + text.count("{") <= DEEPEST or not is_too_deep(value):
            return value
    except json.JSONDecodeError as error:
        raise malformed(error.msg, text[: error.pos]) from None
    except NotJSON as error:
        raise malformed(str(error), text[: place_of_constant(text)]) from None
    except RecursionError:
        pass
    raise malformed(f"Nested more than {DEEPEST} levels deep", text[: place_of_depth(text)])


def malformed(message: str, before: str) -> MalformedJSON:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return MalformedJSON(f"{message} at line {line} column {column}.", line=line, column=column)


class NotJSON(ValueError):
    """`NaN`, `Infinity`: Python reads them, JSON does not have them."""


def refuse_constant(name: str) -> None:
    raise NotJSON(f"{name} is not JSON")


def place_of_constant(text: str) -> int:
    return next(token.start() for token in TOKEN.finditer(text) if token[0][0] in "NI-")


def is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def place_of_depth(text: str) -> int:
    depth = 0
    for token in TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEEPEST:
            return token.start()
    return 0


class Unusable(Exception):
    """Something that no field can take, found while the document is still being read."""


class Oversized:
    """A number that no field holds."""


class Repeated(dict[str, Any]):
    """An object that named a field twice."""

    names: list[str]


def exact_integer(digits: str) -> int:
    if len(digits) > LARGEST_EXPONENT and (len(digits) > LONGEST_NUMBER or isinf(float(digits))):
        raise Unusable
    return int(digits)


def exact_decimal(digits: str) -> Decimal:
    try:
        number = Decimal(digits) if len(digits) <= LONGEST_NUMBER else None
    except InvalidOperation:
        number = None
    # Of a zero too the exponent counts: written out it would have that many digits.
    if number is None or abs(number.adjusted()) > LARGEST_EXPONENT or isinf(float(number)):
        raise Unusable
    return number


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unusable
    return found


STRICT = json.JSONDecoder(
    parse_int=exact_integer,
    parse_float=exact_decimal,
    parse_constant=refuse_constant,
    object_pairs_hook=unique,
)


def any_integer(digits: str) -> int | Oversized:
    try:
        return exact_integer(digits)
    except Unusable:
        return Oversized()


def any_decimal(digits: str) -> Decimal | Oversized:
    try:
        return exact_decimal(digits)
    except Unusable:
        return Oversized()


def repeated(pairs: list[tuple[str, Any]]) -> Repeated:
    found = Repeated(pairs)
    found.names = sorted(name for name, times in Counter(n for n, _ in pairs).items() if times > 1)
    return found


FORGIVING = json.JSONDecoder(
    parse_int=any_integer,
    parse_float=any_decimal,
    parse_constant=refuse_constant,
    object_pairs_hook=repeated,
)


def impossible_values(value: Any, pointer: str) -> Iterator[Fault]:
    """What no field can take: NUL, lone surrogates, repeated names, numbers beyond all bounds."""
    if isinstance(value, str):
        yield from unstorable(value, pointer)
    elif isinstance(value, Oversized):
        yield fault(pointer, "too-large", "The number is too large.")
    elif isinstance(value, dict):
        for name in getattr(value, "names", []):
            yield fault(f"{pointer}/{escape(name)}", "duplicate-key", "Named more than once.")
        for name, inner in value.items():
            yield from unstorable(name, f"{pointer}/{escape(name)}")
            yield from impossible_values(inner, f"{pointer}/{escape(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from impossible_values(inner, f"{pointer}/{index}")


def unstorable(text: str, pointer: str) -> Iterator[Fault]:
    if "\x00" in text:
        yield fault(pointer, "nul", "NUL is not allowed in text.")
    elif LONE_SURROGATE.search(text):
        yield fault(pointer, "surrogate", "A lone surrogate is not text.")
