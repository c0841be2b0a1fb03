"""One record as somebody sends it, read strictly and brought to its canonical form.

By hand: in a batch of a thousand a serializer would take longer than all the rest.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection
from msgspec import UNSET, Struct
from rest_framework.exceptions import ValidationError

from common.idempotency import VISIBLE_ASCII
from common.identity import LARGEST_BIGINT
from common.parsers import LONGEST_NUMBER, STRICT, Unusable
from common.problems import Fault, InvalidInput, escape, fault
from common.serializers import Instant
from usage.models import DECIMAL_PLACES, DIGITS_BEFORE_POINT, LONGEST_SERVICE
from usage.wire import Sent

AHEAD = timedelta(minutes=5)
REQUIRED = ("customerId", "service", "unitsConsumed", "pricePerUnit")
FIELDS = {*REQUIRED, "recordedAt", "idempotencyKey"}
# Text spells a number as JSON does.
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
WIDE = Context(prec=2 * LONGEST_NUMBER)
IN_THE_FUTURE = fault("/recordedAt", "in-the-future", "More than 5 minutes ahead.")
instants = Instant()


class Usage(Struct, frozen=True, gc=False):
    """Decimals are canonical text: no exponent, no needless zero."""

    key: str
    customer_id: int
    service: str
    units_consumed: str
    price_per_unit: str
    recorded_at: datetime | None

    @property
    def fingerprint(self) -> bytes:
        """16 bytes, equal for records that ask for the same, however it was spelt."""
        return self.fingerprint_of(self.recorded_at.isoformat() if self.recorded_at else "")

    def fingerprint_of(self, at: str) -> bytes:
        """The same; `at` is `recorded_at` as text, which takes long to make."""
        # The service comes last: it is the only one that may contain what divides them.
        numbers = f"{self.customer_id}\n{self.units_consumed}\n{self.price_per_unit}"
        return hashlib.sha256(f"{numbers}\n{at}\n{self.service}".encode()).digest()[:16]


class Spoilt(NamedTuple):
    """A record with something in it that no field can take."""

    record: Any
    faults: list[Fault]


def key_in(data: Any) -> str | None:
    """The key of a record that may be wrong in all else; None when it has none that is one."""
    record = data.record if isinstance(data, Spoilt) else data
    key = record.get("idempotencyKey") if isinstance(record, Mapping) else None
    return key if isinstance(key, str) and VISIBLE_ASCII.fullmatch(key) else None


def read_usage(data: Any, *, now: datetime, key: str | None = None) -> Usage:
    """`key` is the header's. Raises InvalidInput with every field that is wrong."""
    if isinstance(data, Spoilt):
        raise InvalidInput(*data.faults)
    if not isinstance(data, Mapping):
        raise InvalidInput(fault("", "invalid", "A record is a JSON object."))
    faults: list[Fault] = []
    if not FIELDS.issuperset(data):
        faults += [
            fault(f"/{escape(name)}", "unknown-field", "No such field.")
            for name in data
            if name not in FIELDS
        ]
    found: dict[str, Any] = {}
    for name, read in READERS:
        if name in data:
            try:
                found[name] = read(data[name])
            except Unfit as unfit:
                faults.append(fault(f"/{name}", unfit.code, unfit.detail))
        elif name in REQUIRED:
            faults.append(fault(f"/{name}", "required", "This field is required."))
    at = found.get("recordedAt")
    if at is not None and at > now + AHEAD:
        faults.append(IN_THE_FUTURE)
    if "idempotencyKey" in found or "idempotencyKey" not in data:
        try:
            key = one_key(key, found.get("idempotencyKey"))
        except InvalidInput as invalid:
            faults += invalid.extra["errors"]
    if faults or key is None:
        raise InvalidInput(*faults)
    return Usage(
        key,
        found["customerId"],
        found["service"],
        found["unitsConsumed"],
        found["pricePerUnit"],
        at,
    )


def one_key(header: str | None, body: str | None) -> str:
    """The key, which may be in either place. Raises InvalidInput."""
    if body is None and header is None:
        raise InvalidInput(fault("/idempotencyKey", "required", "A key is required."))
    if header is not None and body is not None and header != body:
        detail = "Another one than in the header Idempotency-Key."
        raise InvalidInput(fault("/idempotencyKey", "two-keys", detail))
    return body or header or ""


class Unfit(Exception):
    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail


def read_key(value: Any) -> str:
    if type(value) is not str or not VISIBLE_ASCII.fullmatch(value):
        raise Unfit("invalid", "1 to 200 visible ASCII characters.")
    return value


def read_customer_id(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise Unfit("invalid", "A positive integer.")
    if value > LARGEST_BIGINT:
        raise Unfit("too-large", "The number is too large.")
    return value


def read_service(value: Any) -> str:
    if type(value) is not str:
        raise Unfit("invalid", "Must be text.")
    service = composed(value.strip())
    if not 0 < len(service) <= LONGEST_SERVICE:
        raise Unfit("length", f"1 to {LONGEST_SERVICE} characters, white space around it aside.")
    return service


def composed(text: str) -> str:
    """In NFC as the database has it, which knows characters that are newer than this Python."""
    if text.isascii() or all(unicodedata.category(each) != "Cn" for each in text):
        return unicodedata.normalize("NFC", text)
    with connection.cursor() as cursor:
        cursor.execute("SELECT normalize(%s::text, NFC)", [text])
        return str(cursor.fetchone()[0])


def read_units(value: Any) -> str:
    units = read_decimal(value)
    if units == "0" or units[0] == "-":
        raise Unfit("not-positive", "Must be greater than 0.")
    return units


def read_price(value: Any) -> str:
    price = read_decimal(value)
    if price[0] == "-":
        raise Unfit("negative", "Must not be negative.")
    return price


def read_decimal(value: Any) -> str:
    """Canonical text of a number that a column can hold as it is."""
    if type(value) is int:
        number = Decimal(value)
    elif type(value) is Decimal:
        number = value
    elif type(value) is str and len(value) <= LONGEST_NUMBER and NUMBER.fullmatch(value):
        try:
            number = Decimal(value)
        except InvalidOperation:  # an exponent beyond all bounds
            raise Unfit("out-of-range", "The exponent is out of range.") from None
    else:
        raise Unfit("invalid", "A decimal number, as a JSON number or as text that spells one.")
    if not number:
        return "0"
    if number.adjusted() >= DIGITS_BEFORE_POINT:
        raise Unfit("too-large", f"At most {DIGITS_BEFORE_POINT} digits before the point.")
    number = number.normalize(WIDE)
    if number.as_tuple().exponent < -DECIMAL_PLACES:  # type: ignore[operator]  # no NaN here
        raise Unfit("too-precise", f"At most {DECIMAL_PLACES} decimal places.")
    return f"{number:f}"


def read_instant(value: Any) -> datetime:
    try:
        return instants.to_internal_value(value)
    except ValidationError as error:
        raise Unfit("invalid", str(error.detail[0])) from None  # type: ignore[index]


def read_month(text: str) -> date:
    """The first day of `2026-11`. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", text, re.ASCII):
        raise ValueError(text)
    return date(int(text[:4]), int(text[5:]), 1)


def read_sent(batch: list[Sent], now: datetime) -> list[Usage]:
    """The records of a batch. Raises Unfit."""
    latest = now + AHEAD
    return [
        Usage(
            sent.idempotency_key,
            sent.customer_id,
            known_service(sent.service),
            known_units(bytes(sent.units_consumed)),
            known_price(bytes(sent.price_per_unit)),
            None if sent.recorded_at is UNSET else read_moment(sent.recorded_at, latest),
        )
        for sent in batch
    ]


def read_moment(text: str, latest: datetime) -> datetime:
    if (at := read_instant(text)) > latest:
        raise Unfit("in-the-future", "Needs a closer look.")
    return at


def value_of(written: bytes) -> Any:
    try:
        return STRICT.decode(written.decode())
    except (Unusable, ValueError, RecursionError):
        raise Unfit("invalid", "Needs a closer look.") from None


# The same services, prices and numbers come again and again.
known_service = lru_cache(4096)(read_service)
known_units = lru_cache(4096)(lambda written: read_units(value_of(written)))
known_price = lru_cache(4096)(lambda written: read_price(value_of(written)))

READERS = [
    ("idempotencyKey", read_key),
    ("customerId", read_customer_id),
    ("service", read_service),
    ("unitsConsumed", read_units),
    ("pricePerUnit", read_price),
    ("recordedAt", read_instant),
]
