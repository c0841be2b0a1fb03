"""What a customer consumed, exact and checked by the service's own rules before it is sent."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Context, Decimal, Inexact
from functools import lru_cache
from typing import Any

from usage_client.errors import InvalidRecord, WrongType
from usage_client.keys import key_for

LARGEST_ID = 2**63 - 1
DIGITS_BEFORE_POINT, DIGITS_AFTER_POINT = 12, 6
LONGEST_SERVICE = 200

NUMBER = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,6}))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
# As the service spells them, for records that come from its own files.
SPELLINGS = {
    "customerId": "customer_id",
    "unitsConsumed": "units_consumed",
    "pricePerUnit": "price_per_unit",
    "recordedAt": "recorded_at",
    "idempotencyKey": "idempotency_key",
}
# 18 digits times 18 digits; the default context would round at 28.
EXACTLY = Context(prec=60, traps=[Inexact])
# One encoder for all: json.dumps makes one at each call when told anything.
AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
REQUIRED = ("customer_id", "service", "units_consumed", "price_per_unit")
FIELDS = {*REQUIRED, *SPELLINGS.values(), "identity"}


@dataclass(frozen=True, init=False)
class Usage:
    """One thing to be billed. Its key and its bytes are fixed here, before anything is sent, so
    that sending the same object again, to whatever end, bills it once."""

    customer_id: int
    service: str
    units_consumed: Decimal
    price_per_unit: Decimal
    recorded_at: datetime | None
    idempotency_key: str

    def __init__(
        self,
        *,
        customer_id: int,
        service: str,
        units_consumed: Decimal | int | str,
        price_per_unit: Decimal | int | str,
        recorded_at: datetime | str | None = None,
        idempotency_key: str | None = None,
        identity: str | None = None,
    ) -> None:
        # In the instance's dict, because attributes of a frozen dataclass cannot be assigned.
        own = vars(self)
        own["idempotency_key"] = key_for(idempotency_key, identity)
        own["has_fresh_key"] = idempotency_key is None and identity is None
        try:
            own["customer_id"] = customer_id_of(customer_id)
            own["service"] = service_of(service)
            own["units_consumed"] = decimal_of("units_consumed", units_consumed)
            own["price_per_unit"] = decimal_of("price_per_unit", price_per_unit)
            own["recorded_at"] = None if recorded_at is None else instant_of(recorded_at)
            if not self.units_consumed:
                raise InvalidRecord.at("units_consumed", "must be more than 0.")
            own["_body"] = body_of(self)
        except InvalidRecord as error:
            error.concerns(self.idempotency_key)
            raise

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Usage:
        """From a mapping with the names of the arguments, or with the service's (`customerId`)."""
        given = {SPELLINGS.get(name, name): value for name, value in fields.items()}
        if (fault := misfit(fields, given)) is not None:
            fault.concerns(key_for(given.get("idempotency_key"), given.get("identity")))
            raise fault
        return cls(**given)

    def at(self, moment: datetime) -> Usage:
        """The same with the time it has or else this one: for records that leave later.

        Only with a fresh key. A key that somebody chose may have been sent without a time before,
        and then the same record with one would be another record: a conflict.
        """
        if self.recorded_at is not None or not vars(self)["has_fresh_key"]:
            return self
        same = object.__new__(Usage)
        vars(same).update({name: getattr(self, name) for name in self.__dataclass_fields__})
        vars(same).update(recorded_at=moment, has_fresh_key=True)
        vars(same)["_body"] = body_of(same)
        return same

    # Not cached properties: up to Python 3.11 those have one lock for all, which a fork in the
    # wrong moment leaves locked in the child for ever.

    @property
    def body(self) -> bytes:
        """What is sent of it alone, with the key in the header."""
        found: bytes = vars(self)["_body"]
        return found

    @property
    def line(self) -> bytes:
        """What is sent of it in a batch, and kept of it in a spool: the same with its key."""
        return self.body[:-1] + b',"idempotencyKey":%s}' % json.dumps(self.idempotency_key).encode()

    @property
    def amount(self) -> Decimal:
        """What it costs, exactly."""
        return EXACTLY.multiply(self.units_consumed, self.price_per_unit)

    @classmethod
    def from_line(cls, line: bytes) -> Usage:
        return cls.of(json.loads(line))


def misfit(fields: Mapping[str, Any], given: Mapping[str, Any]) -> InvalidRecord | None:
    """What keeps these from being arguments; `fields` as they were spelt."""
    for name in given:
        if name not in FIELDS:
            return InvalidRecord.at(str(name), "there is no such field.")
    if len(given) < len(fields):
        twice = next(name for spelt, name in SPELLINGS.items() if {spelt, name} <= fields.keys())
        return InvalidRecord.at(twice, "is given twice.")
    for name in REQUIRED:
        if name not in given:
            return InvalidRecord.at(name, "is missing.")
    return None


def body_of(usage: Usage) -> bytes:
    fields: dict[str, object] = {
        "customerId": usage.customer_id,
        "service": usage.service,
        # As text, which no JSON library on the way makes a float of.
        "unitsConsumed": f"{usage.units_consumed:f}",
        "pricePerUnit": f"{usage.price_per_unit:f}",
    }
    if usage.recorded_at is not None:
        fields["recordedAt"] = usage.recorded_at.isoformat().replace("+00:00", "Z")
    return AS_JSON.encode(fields).encode()


def batch_of(usages: Iterable[Usage]) -> bytes:
    return b'{"records":[%s]}' % b",".join(usage.line for usage in usages)


def as_money(amount: Decimal) -> str:
    """At least two places, and all that there are: as the service writes it."""
    whole, _, places = f"{amount:f}".partition(".")
    return f"{whole}.{places.rstrip('0'):0<2}"


def customer_id_of(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType.at("customer_id", f"must be an int, not {type(value).__name__}.")
    if not 1 <= value <= LARGEST_ID:
        raise InvalidRecord.at("customer_id", "must be from 1 to 2^63-1.")
    return int(value)


def service_of(value: object) -> str:
    if not isinstance(value, str):
        raise WrongType.at("service", f"must be text, not {type(value).__name__}.")
    return canonical(value)


# Services, prices and many quantities come again and again.
@lru_cache(1024)
def canonical(text: str) -> str:
    service = unicodedata.normalize("NFC", text.strip())
    if not 1 <= len(service) <= LONGEST_SERVICE:
        raise InvalidRecord.at("service", f"1 to {LONGEST_SERVICE} characters.")
    if "\0" in service:
        raise InvalidRecord.at("service", "has a NUL character.")
    try:
        service.encode()
    except UnicodeEncodeError:
        raise InvalidRecord.at("service", "is not valid text (a lone surrogate).") from None
    return service


def decimal_of(field: str, value: object) -> Decimal:
    """Exactly, or not at all: a Decimal, an int, or the text of one; without trailing zeros."""
    if isinstance(value, float):
        raise WrongType.at(
            field,
            f"{value!r} is a float, which cannot hold most decimals exactly (0.1 + 0.2 is "
            f"0.30000000000000004). Give Decimal({str(value)!r}) or the text {str(value)!r}.",
        )
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        kind = type(value).__name__
        raise WrongType.at(field, f"must be a Decimal, an int or text, not {kind}.")
    try:
        return exactly(field, value)
    except TypeError:
        # A signalling NaN, which refuses even to be looked up.
        raise InvalidRecord.at(field, "is not a number that can be billed.") from None


@lru_cache(4096, typed=True)
def exactly(field: str, value: Decimal | int | str) -> Decimal:
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise InvalidRecord.at(field, f"{value[:50]!r} is not a decimal number.")
    exact = Decimal(value)
    if not exact.is_finite():
        raise InvalidRecord.at(field, f"{exact} is not a number that can be billed.")
    return bounded(field, exact)


def bounded(field: str, value: Decimal) -> Decimal:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # it is finite
    end = len(digits)
    while end and not digits[end - 1]:
        end -= 1
    if not end:
        return Decimal(0)
    if sign:
        raise InvalidRecord.at(field, "must not be negative; ask for a correction instead.")
    exponent += len(digits) - end
    if -exponent > DIGITS_AFTER_POINT:
        raise InvalidRecord.at(field, f"has over {DIGITS_AFTER_POINT} decimal places.")
    if value.adjusted() >= DIGITS_BEFORE_POINT:
        raise InvalidRecord.at(field, f"has over {DIGITS_BEFORE_POINT} digits before the point.")
    return Decimal((0, digits[:end], exponent))


def instant_of(value: object) -> datetime:
    """In UTC. A time without a zone is UTC, as everywhere in the service."""
    if isinstance(value, str):
        value = parsed(value)
    if not isinstance(value, datetime):
        hint = " A day is not a moment." if isinstance(value, date) else ""
        raise WrongType.at("recorded_at", f"must be a datetime, not {type(value).__name__}.{hint}")
    try:
        return value.replace(tzinfo=value.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (OverflowError, ValueError):
        raise InvalidRecord.at("recorded_at", "is out of range.") from None


def parsed(text: str) -> datetime:
    """ISO 8601 also on Python 3.10, whose own parser knows no Z and no tenth of a second."""
    if not (found := INSTANT.fullmatch(text)):
        raise InvalidRecord.at("recorded_at", "must be like 2026-11-27T10:30:00.123456+02:00.")
    day, minute, second, fraction, zone = found.groups()
    offset = {"": "", "Z": "+00:00"}.get((zone or "").upper(), zone)
    offset = offset if ":" in offset or not offset else f"{offset[:3]}:{offset[3:]}"
    moment = f"{day}T{minute}{second or ':00'}.{(fraction or '').ljust(6, '0')}{offset}"
    try:
        return datetime.fromisoformat(moment)
    except ValueError:
        raise InvalidRecord.at("recorded_at", f"{text!r} is no moment.") from None
