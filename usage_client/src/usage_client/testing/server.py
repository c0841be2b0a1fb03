"""The service's contract, kept in memory; the project's tests hold it against the real one."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from usage_client.errors import InvalidRecord
from usage_client.keys import VISIBLE_ASCII
from usage_client.records import EXACTLY, SPELLINGS, Usage, as_money
from usage_client.testing.frontend import Frontend, Reply, Request

ALICE, BOB, TAYLOR = 123, 456, 789
LARGEST_BODY = 5 * 1024 * 1024
MOST_RECORDS = 1000
AHEAD = timedelta(minutes=5)
PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
ON_THE_WIRE = {python: wire for wire, python in SPELLINGS.items()}
PAGE = {"cursor", "page_size"}
PARAMETERS = {
    "/api/v1/usage": {"idempotencyKey", *PAGE},
    "/api/v1/usage/receipt": {"from", "to"},
    "/api/v1/usage/bills": {"customerId", "period", *PAGE},
}

REFUSALS = {
    "conflict": {
        "pointer": "/idempotencyKey",
        "code": "idempotency-key-reused",
        "detail": "This idempotency key was used with another body",
    },
    "unknown_customer": {
        "pointer": "/customerId",
        "code": "unknown-customer",
        "detail": "There is no such customer",
    },
}


class Problem(Exception):
    def __init__(
        self, status: int, code: str, detail: str = "", errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.document: dict[str, Any] = {
            "type": f"urn:problem:{code}",
            "title": code,
            "status": status,
            "detail": detail or code,
        }
        if errors:
            self.document["errors"] = errors


@dataclass
class Stored:
    """One record as it was first answered."""

    id: int
    owner: str
    usage: Usage
    amount: Decimal
    recorded_at: datetime
    period: str
    late_for: str | None


@dataclass
class Bill:
    id: int
    total: Decimal = Decimal(0)


@dataclass
class Books:
    """Everything that is recorded."""

    records: dict[tuple[str, str], Stored] = field(default_factory=dict)
    bills: dict[tuple[int, str], Bill] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)


class UsageServer(Frontend):
    """Customers are 123, 456 and 789 unless told otherwise; `now` tells the time."""

    def __init__(
        self,
        *,
        customers: Mapping[int, str] | None = None,
        api_key: str = "key-of-a-test",
        currency: str = "USD",
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        super().__init__(api_key)
        self.customers = dict(customers or {ALICE: "Alice", BOB: "Bob", TAYLOR: "Taylor"})
        self.currency = currency
        self.now = now
        self._owners = {api_key: ("test", {"usage.write", "usage.read"})}
        self._books = Books()
        self._lock = threading.Lock()

    # What a test wants to know or to do.

    @property
    def records(self) -> list[Stored]:
        """What is recorded, in order."""
        with self._lock:
            return list(self._books.records.values())

    def total(self, customer_id: int, period: str | None = None) -> Decimal:
        """Of all months or of one, exactly."""
        return added(
            each.amount
            for each in self.records
            if each.usage.customer_id == customer_id and period in (None, each.period)
        )

    def issue_key(self, api_key: str, owner: str, *scopes: str) -> None:
        """Another team's key, or another of the same team's."""
        self._owners[api_key] = (owner, set(scopes))

    def revoke_key(self, api_key: str) -> None:
        del self._owners[api_key]

    def close_month(self, period: str) -> None:
        """Usage for it goes to the current month from now on."""
        self._books.closed.add(period)

    # HTTP.

    def answer(self, request: Request) -> Reply:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else "0"
        try:
            status, document, headers = self._route(request)
        except Problem as problem:
            status, headers = problem.status, {}
            document = {**problem.document, "request_id": request_id}
        return Reply.json(status, document, X_Request_ID=request_id, **headers)

    def _route(self, request: Request) -> tuple[int, dict[str, Any], dict[str, str]]:
        target = urlsplit(request.target)
        ask: dict[str, Callable[[str, dict[str, str]], dict[str, Any]]] = {
            "/api/v1/usage": self._own,
            "/api/v1/usage/receipt": self._receipt,
            "/api/v1/usage/bills": self._bills,
        }
        path = target.path.rstrip("/")
        if path not in ask:
            raise Problem(404, "not-found")
        if request.method == "GET":
            scopes = {"usage.read"} if path.endswith("bills") else {"usage.read", "usage.write"}
            owner = self._owner(request, scopes)
            query = asked(target.query, PARAMETERS[path])
            with self._lock:
                return 200, ask[path](owner, query), {}
        owner = self._owner(request, {"usage.read" if path.endswith("bills") else "usage.write"})
        if request.method != "POST" or path != "/api/v1/usage":
            raise Problem(405, "method-not-allowed")
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind != "application/json":
            raise Problem(415, "unsupported-media-type")
        if len(request.body) > LARGEST_BODY:
            raise Problem(413, "too-large")
        body = parsed(request.body)
        with self._lock:
            if "records" in body:
                return 200, self._batch(owner, body), {}
            return self._single(owner, body, request.headers.get("Idempotency-Key"))

    def _owner(self, request: Request, wanted: set[str]) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        for known, (owner, scopes) in self._owners.items():
            if scheme == "Bearer" and hmac.compare_digest(known, key):
                if not wanted & scopes:
                    raise Problem(403, "forbidden")
                return owner
        raise Problem(401, "not-authenticated")

    # The rules.

    def _single(
        self, owner: str, body: dict[str, Any], header: str | None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        usage = self._usage(body, header)
        status, stored = self._keep(owner, usage)
        if status == "unknown_customer":
            raise Problem(404, "unknown-customer")
        if status == "conflict":
            raise Problem(422, "idempotency-key-reused")
        assert stored
        replayed = {"Idempotent_Replayed": "true"} if status == "replayed" else {}
        return (200 if replayed else 201), self._shown(stored), replayed

    def _batch(self, owner: str, body: dict[str, Any]) -> dict[str, Any]:
        entries = body["records"]
        if set(body) != {"records"} or not isinstance(entries, list) or not entries:
            raise invalid("records", "1 to 1000 records, and nothing beside them")
        if len(entries) > MOST_RECORDS:
            raise Problem(413, "too-large")
        return {"results": [self._verdict(owner, entry) for entry in entries]}

    def _verdict(self, owner: str, entry: Any) -> dict[str, Any]:
        key = entry.get("idempotencyKey") if isinstance(entry, dict) else None
        verdict: dict[str, Any] = {"idempotencyKey": key}
        try:
            if not isinstance(entry, dict):
                raise invalid("", "not an object")
            status, stored = self._keep(owner, self._usage(entry, None))
        except Problem as problem:
            return {**verdict, "status": "invalid", "errors": problem.document["errors"]}
        verdict["status"] = status
        if stored:
            return {**verdict, "id": stored.id}
        return {**verdict, "errors": [REFUSALS[status]]}

    def _usage(self, body: dict[str, Any], header: str | None) -> Usage:
        key = body.get("idempotencyKey", header)
        if key is None:
            raise invalid("idempotencyKey", "is required")
        if header is not None and header != key:
            raise invalid("idempotencyKey", "differs from the header")
        if not isinstance(key, str) or not VISIBLE_ASCII.fullmatch(key):
            raise invalid("idempotencyKey", "1 to 200 visible ASCII characters")
        for name in body:
            if name not in (*SPELLINGS, "service"):
                raise invalid(name, "no such field")
        for name in ("customerId", "service", "unitsConsumed", "pricePerUnit"):
            if body.get(name) is None:
                raise invalid(name, "is required")
        recorded_at = body.get("recordedAt")
        if recorded_at is not None and not isinstance(recorded_at, str):
            raise invalid("recordedAt", "must be text")
        try:
            usage = Usage.of({**body, "idempotencyKey": key})
        except InvalidRecord as error:
            name = error.field or ""
            raise invalid(ON_THE_WIRE.get(name, name), error.errors[0]["detail"]) from None
        if usage.recorded_at and usage.recorded_at > self.now() + AHEAD:
            raise invalid("recordedAt", "is in the future")
        return usage

    def _keep(self, owner: str, usage: Usage) -> tuple[str, Stored | None]:
        place = (owner, usage.idempotency_key)
        if known := self._books.records.get(place):
            same = known.usage == usage
            return ("replayed", known) if same else ("conflict", None)
        if usage.customer_id not in self.customers:
            return "unknown_customer", None
        now = self.now()
        recorded_at = usage.recorded_at or now
        month, late_for = f"{recorded_at:%Y-%m}", None
        if month in self._books.closed:
            month, late_for = f"{now:%Y-%m}", month
        amount = usage.amount
        number = len(self._books.records) + 1
        stored = Stored(number, owner, usage, amount, recorded_at, month, late_for)
        self._books.records[place] = stored
        bill = self._books.bills.setdefault(
            (usage.customer_id, month), Bill(len(self._books.bills) + 1)
        )
        bill.total = EXACTLY.add(bill.total, amount)
        return "created", stored

    # What is shown.

    def _shown(self, stored: Stored) -> dict[str, Any]:
        usage = stored.usage
        bill = self._books.bills[usage.customer_id, stored.period]
        return {
            "id": stored.id,
            "customerId": usage.customer_id,
            "service": usage.service,
            "unitsConsumed": f"{usage.units_consumed:f}",
            "pricePerUnit": as_money(usage.price_per_unit),
            "amount": as_money(stored.amount),
            "recordedAt": stored.recorded_at.isoformat(),
            "lateFor": stored.late_for,
            "bill": {
                "id": bill.id,
                "period": stored.period,
                "total": as_money(bill.total),
                "currency": self.currency,
            },
        }

    def _own(self, owner: str, query: dict[str, str]) -> dict[str, Any]:
        wanted = query.get("idempotencyKey")
        if wanted is not None and not VISIBLE_ASCII.fullmatch(wanted):
            raise invalid("idempotencyKey", "1 to 200 visible ASCII characters")
        own = [
            {**self._shown(stored), "idempotencyKey": key, "corrects": None, "reason": ""}
            for (whose, key), stored in sorted(self._books.records.items(), key=lambda it: it[0])
            if whose == owner and wanted in (None, key)
        ]
        return {"next": None, "previous": None, "results": own}

    def _receipt(self, owner: str, query: dict[str, str]) -> dict[str, Any]:
        first, last = query.get("from", ""), query.get("to", "\x7f")
        amounts = {
            key: stored.amount
            for (whose, key), stored in self._books.records.items()
            if whose == owner and first <= key <= last
        }
        keys = sorted(amounts)
        lines = "".join(f"{key} {as_money(amounts[key])}\n" for key in keys)
        return {
            "count": len(keys),
            "sum": as_money(added(amounts.values())),
            "digest": hashlib.sha256(lines.encode()).hexdigest(),
            "firstKey": keys[0] if keys else None,
            "lastKey": keys[-1] if keys else None,
            "isComplete": True,
        }

    def _bills(self, owner: str, query: dict[str, str]) -> dict[str, Any]:
        if not re.fullmatch(r"[1-9][0-9]{0,18}", query.get("customerId", "")):
            raise invalid("customerId", "a positive integer")
        customer_id, period = int(query["customerId"]), query.get("period")
        if period is not None and not PERIOD.fullmatch(period):
            raise invalid("period", "YYYY-MM")
        if customer_id not in self.customers:
            raise Problem(404, "unknown-customer")
        bills = [
            self._bill(bill.id, customer_id, month)
            for (whose, month), bill in sorted(
                self._books.bills.items(), key=lambda each: each[0], reverse=True
            )
            if whose == customer_id and period in (None, month)
        ]
        return {"next": None, "previous": None, "results": bills}

    def _bill(self, id: int, customer_id: int, month: str) -> dict[str, Any]:
        lines: dict[tuple[str, Decimal], list[Stored]] = {}
        for each in self._books.records.values():
            if (each.usage.customer_id, each.period) == (customer_id, month):
                line = (each.usage.service, each.usage.price_per_unit)
                lines.setdefault(line, []).append(each)
        return {
            "id": id,
            "customerId": customer_id,
            "period": month,
            "status": "closed" if month in self._books.closed else "open",
            "total": as_money(added(each.amount for found in lines.values() for each in found)),
            "currency": self.currency,
            "lines": [
                {
                    "service": service,
                    "pricePerUnit": as_money(price),
                    "unitsConsumed": f"{added(each.usage.units_consumed for each in found):f}",
                    "amount": as_money(added(each.amount for each in found)),
                    "records": len(found),
                }
                for (service, price), found in sorted(lines.items())
            ],
        }


def added(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACTLY.add(total, amount)
    return total


def asked(query: str, known: set[str]) -> dict[str, str]:
    given = parse_qsl(query, keep_blank_values=True)
    found = dict(given)
    for name in found:
        if name not in known:
            raise invalid(name, "No such parameter.", "unknown-parameter")
    if len(found) < len(given):
        names = [name for name, _ in given]
        name = next(name for name in names if names.count(name) > 1)
        raise invalid(name, "Given more than once.", "repeated")
    return found


def invalid(field: str, detail: str, code: str = "invalid") -> Problem:
    fault = {"pointer": f"/{field}" if field else "", "code": code, "detail": detail}
    return Problem(400, "invalid-input", f"/{field}: {detail}", [fault])


def parsed(body: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise invalid("", "a name stands twice")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        document = json.loads(
            body, parse_float=Decimal, parse_constant=refuse, object_pairs_hook=once
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Problem(400, "malformed-json", str(error)[:200]) from None
    if not isinstance(document, dict):
        raise invalid("", "must be an object")
    return document
