"""Reading answers, and believing only those that are about what was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from usage_client.errors import InvalidRecord
from usage_client.records import Usage, instant_of
from usage_client.results import (
    CONFLICT,
    CREATED,
    INVALID,
    REPLAYED,
    UNKNOWN_CUSTOMER,
    Bill,
    BillLine,
    Id,
    MonthlyBill,
    Receipt,
    Result,
    UsageRecord,
    verdict,
)

STATUSES = {CREATED, REPLAYED, CONFLICT, INVALID, UNKNOWN_CUSTOMER}


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the headers in lower case, all bytes of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotBelieved(Exception):
    """An answer that is not the service's to this request: of a broken or mixed-up proxy, say."""


def document(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body, parse_float=Decimal, parse_constant=refuse)
    except (ValueError, ArithmeticError, RecursionError):
        # Arithmetic: an exponent beyond all bounds.
        raise NotBelieved(f"{len(answer.body)} bytes that are not JSON") from None
    if not isinstance(found, dict):
        raise NotBelieved("JSON that is no object")
    return found


def refuse(constant: str) -> None:
    raise ValueError(constant)


def problem(answer: Answer) -> dict[str, Any]:
    """The problem document of a refusal, or nothing."""
    try:
        found = document(answer)
    except NotBelieved:
        return {}
    return found if isinstance(found.get("type"), str) else {}


def record(usage: Usage, answer: Answer, attempts: int, request_id: str) -> UsageRecord:
    found = kept(
        Reader(document(answer)),
        usage.idempotency_key,
        replayed=answer.status == 200 or answer.headers.get("idempotent-replayed") == "true",
        attempts=attempts,
        request_id=request_id,
    )
    for name in ("customer_id", "service", "units_consumed", "price_per_unit", "idempotency_key"):
        if getattr(found, name) != getattr(usage, name):
            raise NotBelieved(f"the answer is about another record (its {name} differs)")
    if usage.recorded_at not in (None, found.recorded_at):
        raise NotBelieved("the answer is about another record (its recorded_at differs)")
    if found.amount != usage.amount:
        raise NotBelieved(f"the answer's amount {found.amount} is not units times price")
    return found


def kept(body: Reader, key: str | None, **seen: Any) -> UsageRecord:
    bill = Reader(body.get("bill", dict))
    return UsageRecord(
        id=body.id(),
        customer_id=body.get("customerId", int),
        service=body.get("service", str),
        units_consumed=body.decimal("unitsConsumed"),
        price_per_unit=body.decimal("pricePerUnit"),
        amount=body.decimal("amount"),
        recorded_at=body.instant("recordedAt"),
        late_for=body.optional("lateFor", str),
        bill=Bill(
            id=bill.id(),
            period=bill.get("period", str),
            total=bill.decimal("total"),
            currency=bill.get("currency", str),
        ),
        idempotency_key=body.optional("idempotencyKey", str) or key or "",
        **seen,
    )


def found(key: str, answer: Answer, attempts: int, request_id: str) -> UsageRecord | None:
    """The record of this key in a list of own records, if it is there."""
    for each in Reader(document(answer)).get("results", list):
        seen = kept(Reader(each), None, replayed=True, attempts=attempts, request_id=request_id)
        if seen.idempotency_key != key:
            raise NotBelieved("the answer is about another record (its key differs)")
        return seen
    return None


def receipt(answer: Answer) -> Receipt:
    body = Reader(document(answer))
    return Receipt(
        count=body.get("count", int),
        sum=body.decimal("sum"),
        digest=body.get("digest", str),
        first_key=body.optional("firstKey", str),
        last_key=body.optional("lastKey", str),
        is_complete=body.get("isComplete", bool),
    )


def batch(
    usages: Sequence[Usage], answer: Answer, attempts: int, request_id: str, body: bytes
) -> list[Result]:
    entries = Reader(document(answer)).get("results", list)
    if answer.status != 200 or len(entries) != len(usages):
        raise NotBelieved(f"{len(entries)} verdicts on {len(usages)} records")
    seen = {"attempts": attempts, "request_id": request_id, "body": body}
    verdicts = []
    for usage, entry in zip(usages, entries, strict=True):
        said = Reader(entry)
        if said.get("idempotencyKey", str) != usage.idempotency_key:
            raise NotBelieved("the verdicts are about other records (a key differs)")
        status = said.get("status", str)
        if status not in STATUSES:
            raise NotBelieved(f"an unknown verdict {status!r}")
        if status in (CREATED, REPLAYED):
            id = said.id() if "id" in entry else None
            verdicts.append(Result(usage.idempotency_key, status, id, (), attempts, usage))
        else:
            errors = said.optional("errors", list) or []
            faults = [each for each in errors if isinstance(each, dict)]
            verdicts.append(verdict(usage, status, faults, **seen))
    return verdicts


def bills(answer: Answer) -> tuple[list[MonthlyBill], str | None]:
    """One page, and the address of the next."""
    page = Reader(document(answer))
    return [bill(Reader(each)) for each in page.get("results", list)], page.optional("next", str)


def bill(found: Reader) -> MonthlyBill:
    return MonthlyBill(
        id=found.id(),
        customer_id=found.get("customerId", int),
        period=found.get("period", str),
        status=found.get("status", str),
        total=found.decimal("total"),
        currency=found.get("currency", str),
        lines=[
            BillLine(
                service=each.get("service", str),
                price_per_unit=each.decimal("pricePerUnit"),
                units_consumed=each.decimal("unitsConsumed"),
                amount=each.decimal("amount"),
                records=each.get("records", int),
            )
            for each in map(Reader, found.get("lines", list))
        ],
    )


class Reader:
    """The fields of a JSON object, each of its kind or the whole answer is not believed."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise NotBelieved("not an object where there should be one")
        self.fields = fields

    def get(self, name: str, kind: type) -> Any:
        value = self.fields.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise NotBelieved(f"no {name} in the answer")
        return value

    def optional(self, name: str, kind: type) -> Any:
        return None if self.fields.get(name) is None else self.get(name, kind)

    def id(self) -> Id:
        value = self.fields.get("id")
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise NotBelieved("no id in the answer")
        return value

    def decimal(self, name: str) -> Decimal:
        """From text, or from a number, which is exact here too."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            raise NotBelieved(f"no {name} in the answer")
        try:
            value = Decimal(value)
        except ArithmeticError:
            raise NotBelieved(f"the answer's {name} is no number") from None
        if not value.is_finite():
            raise NotBelieved(f"the answer's {name} is no number")
        return value

    def instant(self, name: str) -> datetime:
        try:
            return instant_of(self.get(name, str))
        except InvalidRecord:
            raise NotBelieved(f"the answer's {name} is no moment") from None
