"""The client against the real service over HTTP, with everything that goes wrong in between; and
the fake that other teams test with, held against the same service."""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from usage_client.testing import Proxy, UsageServer, moods

from common.models import digest_of
from common.tests.running import Service, wait_for
from tests.test_crashes import Database, expect_success, kill
from usage_client import (
    InvalidRecord,
    KeyConflict,
    Misconfigured,
    NotAuthorised,
    UnknownCustomer,
    Usage,
    UsageClient,
)

# 100000 is what was promised; so many that the suite stays quick.
RECORDS = int(os.environ.get("USAGE_RECORDS", "3000"))
ALICE, BOB, TAYLOR = 123, 456, 789
HOSTING = {
    "customer_id": ALICE,
    "service": "Database Hosting",
    "units_consumed": 58,
    "price_per_unit": "0.05",
}


@dataclass
class Installation:
    """The service with its database, and how to make keys and look into the books."""

    service: Service
    database: Database
    process: "subprocess.Popen[bytes]" = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    def key(self, owner: str, *scopes: str) -> str:
        """As `create_api_key` makes it, which would take a process."""
        secret = secrets.token_urlsafe(32)
        with self.database.connect() as own:
            own.execute(
                "INSERT INTO common_apikey (owner, scopes, digest, hint) VALUES (%s, %s, %s, '')",
                [owner, list(scopes), digest_of(secret)],
            )
        return secret

    def ask(self, query: str, *values: Any) -> list[Any]:
        with self.database.connect() as own:
            return own.execute(query, values).fetchall()

    def start(self) -> None:
        self.process = self.service.start("web")
        self.service.wait_until_ready(self.process)

    def kill(self) -> None:
        kill(self.process)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    directory = tmp_path_factory.mktemp("usage") / "service"
    with Database("usage_client").existing() as database:
        service = Service(directory, {"DATABASE_URL": database.url, "WEB_WORKERS": "1"})
        expect_success(service.manage("migrate", "--verbosity=0"))
        with database.connect() as own:
            own.execute(
                "INSERT INTO customer (id, name)"
                " VALUES (123, 'Alice'), (456, 'Bob'), (789, 'Taylor'), (800, 'Zoe')"
            )
        yield Installation(service, database)


@pytest.fixture(scope="module")
def running(installation: Installation) -> Iterator[Installation]:
    installation.start()
    yield installation
    installation.kill()


@pytest.fixture(scope="module")
def api_key(running: Installation) -> str:
    return running.key("parity", "usage.write", "usage.read")


@pytest.fixture
def fake() -> Iterator[UsageServer]:
    with UsageServer(customers={ALICE: "Alice", BOB: "Bob", 800: "Zoe"}) as fake:
        yield fake


Both = tuple[tuple[str, str], tuple[str, str]]


@pytest.fixture
def both(running: Installation, api_key: str, fake: UsageServer) -> Both:
    """Address and key of the real service and of the fake."""
    return (running.url, api_key), (fake.url, fake.api_key)


# What is each one's own.
OWN = {"id", "request_id", "idempotency_key", "recorded_at", "bill", "record"}


JOB = [{**HOSTING, "idempotency_key": f"job-7/{number}"} for number in range(12)]


def outcome(act: Callable[[UsageClient], Any], client: UsageClient) -> Any:
    """What a caller sees: fields, or the exception's kind and status."""
    try:
        found = act(client)
    except Exception as error:
        return type(error), getattr(error, "status", None)
    if found is None or isinstance(found, bool):
        return found
    return [seen(each) for each in (found if isinstance(found, list) else [found])]


def seen(found: Any) -> dict[str, Any]:
    fields = {name: value for name, value in vars(found).items() if name not in OWN}
    if "errors" in fields:
        # In whatever words.
        fields["errors"] = sorted(fault["pointer"] for fault in fields["errors"])
        fields["error"] = type(fields["error"])
    if hasattr(found, "bill"):
        fields |= {"period": found.bill.period, "currency": found.bill.currency}
    return fields


def single(**changes: Any) -> Callable[[UsageClient], Any]:
    return lambda client: client.record(**{**HOSTING, **changes})


SCENARIOS: dict[str, list[Callable[[UsageClient], Any]]] = {
    "created, replayed, conflict": [
        single(idempotency_key="p1"),
        single(idempotency_key="p1"),
        single(idempotency_key="p1", units_consumed="58.000", price_per_unit="0.050"),
        single(idempotency_key="p1", units_consumed=59),
        single(idempotency_key="p1", recorded_at="2026-11-01T00:00Z"),
        single(idempotency_key="p1", customer_id=BOB),
        single(idempotency_key="p1", customer_id=999),
    ],
    "an unknown customer leaves the key free": [
        single(idempotency_key="p2", customer_id=999),
        single(idempotency_key="p2"),
    ],
    "decimals": [
        single(identity="d1", units_consumed="0.000001", price_per_unit="0.000001"),
        single(identity="d2", units_consumed="999999999999.999999", price_per_unit="1"),
        single(identity="d3", price_per_unit=0),
        single(identity="d4", units_consumed="1e3", price_per_unit="15"),
    ],
    "moments": [
        single(identity="m1", recorded_at="2099-01-01T00:00Z"),
        single(identity="m2", recorded_at="2026-10-31T23:59:59.999999Z"),
        single(identity="m3", recorded_at="2026-11-01T00:30:00+01:00"),
        single(identity="m3", recorded_at="2026-10-31T23:30:00Z"),
    ],
    "services": [
        single(identity="s1", service="  Cafe\u0301 "),
        single(identity="s1", service="Caf\u00e9"),
        single(identity="s1", service="caf\u00e9"),
        single(identity="s2", service="x" * 200),
        single(identity="s3", service="\U0001f600\u202e"),
    ],
    "batches": [
        lambda client: client.record_many(
            [
                {**HOSTING, "idempotency_key": "b1"},
                {**HOSTING, "idempotency_key": "b1"},
                {**HOSTING, "idempotency_key": "b1", "units_consumed": 59},
                {**HOSTING, "idempotency_key": "b2", "customer_id": 999},
                {**HOSTING, "idempotency_key": "b2"},
                {**HOSTING, "idempotency_key": "b3", "recorded_at": "2099-01-01T00:00Z"},
                {**HOSTING, "idempotency_key": "b3"},
            ]
        ),
        lambda client: client.record_many([{**HOSTING, "idempotency_key": "b1"}]),
    ],
    "looked up and proved": [
        lambda client: client.find(identity="l1"),
        single(identity="l1"),
        lambda client: client.find(identity="l1"),
        lambda client: client.record_many(JOB),
        lambda client: [client.receipt("job-7/", "job-7/~")],
        lambda client: [client.receipt("job-8/", "job-8/~")],
        lambda client: client.receipt("job-7/", "job-7/~").proves(map(Usage.of, JOB)),
        lambda client: client.receipt("job-7/", "job-7/~").proves(map(Usage.of, JOB[1:])),
    ],
    "unknown customers have no bills": [lambda client: list(client.bills(999))],
    "a month is a month": [lambda client: list(client.bills(ALICE, "2026-13"))],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_through_the_client_the_fake_is_the_service(both: Both, name: str) -> None:
    seen = []
    for url, key in both:
        with UsageClient(url, key) as client:
            seen.append([outcome(act, client) for act in SCENARIOS[name]])
    assert seen[0] == seen[1]


GOOD = {"customerId": 123, "service": "s", "unitsConsumed": 1, "pricePerUnit": 0.5}
RAW: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    name: ("POST", "/api/v1/usage/", body, headers)
    for name, body, headers in [
        ("a number", b'{"customerId":123,"service":"s","unitsConsumed":1.5,"pricePerUnit":0.05}',
         {"Idempotency-Key": "r1"}),
        ("the key in the body", json.dumps({**GOOD, "idempotencyKey": "r2"}).encode(), {}),
        ("both alike", json.dumps({**GOOD, "idempotencyKey": "r3"}).encode(),
         {"Idempotency-Key": "r3"}),
        ("both, and different", json.dumps({**GOOD, "idempotencyKey": "r4"}).encode(),
         {"Idempotency-Key": "r5"}),
        ("no key", json.dumps(GOOD).encode(), {}),
        ("no JSON", b"{", {"Idempotency-Key": "r6"}),
        ("a list", b"[]", {"Idempotency-Key": "r6"}),
        ("NaN", b'{"customerId":NaN}', {"Idempotency-Key": "r6"}),
        ("a name twice", b'{"customerId":123,"customerId":123}', {"Idempotency-Key": "r6"}),
        ("an unknown field", json.dumps({**GOOD, "colour": 1}).encode(),
         {"Idempotency-Key": "r6"}),
        ("a missing field", b'{"customerId":123,"service":"s"}', {"Idempotency-Key": "r6"}),
        ("true", json.dumps({**GOOD, "unitsConsumed": True}).encode(), {"Idempotency-Key": "r6"}),
        ("seven places", b'{"customerId":123,"service":"s","unitsConsumed":1,"pricePerUnit":1e-7}',
         {"Idempotency-Key": "r6"}),
        ("nothing", json.dumps({**GOOD, "unitsConsumed": 0}).encode(), {"Idempotency-Key": "r6"}),
        ("less", json.dumps({**GOOD, "pricePerUnit": -1}).encode(), {"Idempotency-Key": "r6"}),
        ("customer as text", json.dumps({**GOOD, "customerId": "123"}).encode(),
         {"Idempotency-Key": "r6"}),
        ("no records", b'{"records":[]}', {}),
        ("records and more", b'{"records":[1],"x":1}', {}),
        ("1001 records", b'{"records":[%s]}' % b",".join([b"1"] * 1001), {}),
        ("records that are none", b'{"records":[1, null, {}, "x", []]}', {}),
        ("text", b"{}", {"Content-Type": "text/plain", "Idempotency-Key": "r6"}),
        ("no one", b"{}", {"Authorization": ""}),
        ("somebody else", b"{}", {"Authorization": "Bearer nobody"}),
    ]
}  # fmt: skip
RAW |= {
    "elsewhere": ("POST", "/api/v1/usages/", b"{}", {}),
    "receipts to no one": ("GET", "/api/v1/usage/receipt/", b"", {"Authorization": ""}),
    "a receipt is not written": ("POST", "/api/v1/usage/receipt/", b"{}", {}),
    "a receipt of nothing": ("GET", "/api/v1/usage/receipt/?from=zzz", b"", {}),
    "the record of no key": ("GET", "/api/v1/usage/?idempotencyKey=none", b"", {}),
    "the record of what is no key": ("GET", "/api/v1/usage/?idempotencyKey=%20", b"", {}),
    "no way to ask": ("DELETE", "/api/v1/usage/", b"", {}),
    "bills of nobody": ("GET", "/api/v1/usage/bills/?customerId=999", b"", {}),
    "bills of no number": ("GET", "/api/v1/usage/bills/?customerId=x", b"", {}),
    "bills of no month": ("GET", "/api/v1/usage/bills/?customerId=123&period=2026-1", b"", {}),
    "bills of a misspelt customer": ("GET", "/api/v1/usage/bills/?customerID=123", b"", {}),
    "bills of two months": (
        "GET",
        "/api/v1/usage/bills/?customerId=123&period=2026-01&period=2026-01",
        b"",
        {},
    ),
    "a receipt in pages": ("GET", "/api/v1/usage/receipt/?page_size=5", b"", {}),
    "no bills": ("GET", "/api/v1/usage/bills/?customerId=800", b"", {}),
    "without the slash": ("GET", "/api/v1/usage/bills?customerId=800", b"", {}),
}


@pytest.mark.parametrize("name", RAW)
def test_byte_for_byte_the_fake_is_the_service(both: Both, name: str) -> None:
    method, path, body, headers = RAW[name]
    seen = []
    for url, key in both:
        own = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
        answer = requests.request(method, url + path, data=body, headers=own, timeout=30)
        found = answer.json()
        shape: Any = sorted(found)
        if answer.status_code >= 400:
            shape = found["type"]
        elif "results" in found:
            shape = [(each.get("idempotencyKey"), each.get("status")) for each in found["results"]]
        seen.append((answer.status_code, shape, answer.headers["Content-Type"]))
    assert seen[0] == seen[1]


def expect_exactly(
    installation: Installation, owner: str, expected: dict[int, Decimal], count: int
) -> None:
    """Every record once, and every bill to the last digit."""
    found = installation.ask(
        "SELECT customer_id, count(*), count(DISTINCT idempotency_key), sum(amount)"
        " FROM usage_record WHERE owner = %s GROUP BY 1",
        owner,
    )
    assert sum(records for _, records, _, _ in found) == count
    assert sum(keys for _, _, keys, _ in found) == count
    assert {customer: amount for customer, _, _, amount in found} == expected
    expect_success(installation.service.manage("verify_bills"))


def test_through_a_bad_proxy_every_record_is_billed_exactly_once(running: Installation) -> None:
    key = running.key("many", "usage.write", "usage.read")
    customers, prices = [ALICE, BOB, TAYLOR], ["0.05", "14.99", "0.000001"]

    def record(number: int) -> dict[str, Any]:
        return {
            "customer_id": customers[number % 3],
            "service": f"service {number % 7}",
            "units_consumed": Decimal(number % 1000 + 1) / 8,
            "price_per_unit": prices[number % 3],
            "identity": f"event {number}",
        }

    before = {customer: billed(running, key, customer) for customer in customers}
    expected = dict.fromkeys(customers, Decimal(0))
    for number in range(RECORDS):
        one = record(number)
        amount = one["units_consumed"] * Decimal(one["price_per_unit"])
        expected[one["customer_id"]] += amount
    with Proxy(running.url, key) as proxy:
        proxy.always(moods.chaos(1, 0.5))
        client = proxy.client(deadline=60)
        with client.buffered(capacity=20_000, batch_size=500) as buffer:
            for number in range(RECORDS):
                buffer.record(**record(number))
        assert buffer.tally.created + buffer.tally.replayed == RECORDS
        # All of it once more, as after a restart.
        proxy.always(moods.chaos(2, 0.5))
        again = client.record_many(record(number) for number in range(RECORDS))
        assert {each.status for each in again} == {"replayed"}
        assert len(proxy.requests) > 2.5 * RECORDS / 1000
    expect_exactly(running, "many", expected, RECORDS)
    for customer in customers:
        assert billed(running, key, customer) - before[customer] == expected[customer]


def billed(installation: Installation, key: str, customer: int) -> Decimal:
    with UsageClient(installation.url, key) as client:
        return sum((bill.total for bill in client.bills(customer)), Decimal(0))


def test_fifty_threads_through_a_bad_proxy(running: Installation) -> None:
    key = running.key("threads", "usage.write")
    with Proxy(running.url, key) as proxy:
        proxy.always(moods.chaos(3, 0.4))
        client = proxy.client(deadline=60)

        def work(number: int) -> bool:
            # Each event by two threads, as after a restart that was none.
            found = client.record(**HOSTING, identity=f"event {number // 2}")
            return found.units_consumed == 58

        with ThreadPoolExecutor(50) as pool:
            assert all(pool.map(work, range(200)))
    expect_exactly(running, "threads", {ALICE: 100 * Decimal("2.90")}, 100)


def test_a_team_meets_its_refusals(running: Installation) -> None:
    key = running.key("refused", "usage.write")
    with UsageClient(running.url, key) as client:
        client.record(**HOSTING, identity="x")
        with pytest.raises(KeyConflict):
            client.record(**{**HOSTING, "units_consumed": 59}, identity="x")
        with pytest.raises(UnknownCustomer):
            client.record(**{**HOSTING, "customer_id": 999}, identity="y")
        with pytest.raises(InvalidRecord) as caught:
            client.record(**HOSTING, identity="z", recorded_at="2099-01-01T00:00Z")
        assert caught.value.errors[0]["pointer"] == "/recordedAt"
        assert caught.value.request_id
        with pytest.raises(NotAuthorised):
            list(client.bills(ALICE))
    with UsageClient(f"{running.url}/api", key) as lost, pytest.raises(Misconfigured):
        lost.record(**HOSTING, identity="x")


PROGRAMME = """
import sys
from usage_client import UsageClient
url, key, spool = sys.argv[1:]
buffer = UsageClient(url, key, deadline=10).buffered(spool=spool, linger=0.01, batch_size=50)
import os, itertools
for number in itertools.count():
    buffer.record(customer_id=123, service="s", units_consumed=1, price_per_unit="0.10",
                  identity=f"{os.getpid()} {number}")
    print(number, flush=True)
"""


def test_kill_9_of_the_client_loses_and_doubles_nothing(
    running: Installation, tmp_path: Path
) -> None:
    key, spool = running.key("killed client", "usage.write"), str(tmp_path / "spool")
    accepted, most = 0, 0
    with Proxy(running.url, key) as proxy:
        proxy.always(moods.chaos(4, 0.4))
        for after in (20, 80, 120):
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAMME, proxy.url, key, spool],
                env={**os.environ, "PYTHONPATH": str(settings.BASE_DIR / "usage_client/src")},
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout
            for _ in range(after):
                assert process.stdout.readline()
            process.kill()
            said = after + len(process.stdout.read().split())
            process.communicate()
            # It may have died between accepting a record and saying so.
            accepted, most = accepted + said, most + said + 1
        with proxy.client().buffered(spool=spool) as buffer:
            buffer.flush(30)
    ((count, total),) = running.ask(
        "SELECT count(*), sum(amount) FROM usage_record WHERE owner = 'killed client'"
    )
    assert accepted <= count <= most
    assert total == count * Decimal("0.10")
    expect_success(running.service.manage("verify_bills"))


def test_kill_9_of_the_service_loses_and_doubles_nothing(running: Installation) -> None:
    key = running.key("killed service", "usage.write")
    recorded: list[Any] = []
    with UsageClient(running.url, key, deadline=60) as client:
        buffer = client.buffered(linger=0.01, batch_size=100)
        is_over = threading.Event()

        def one_by_one() -> None:
            while not is_over.is_set():
                recorded.append(client.record(**HOSTING))

        def in_passing() -> None:
            while not is_over.is_set():
                buffer.record(**{**HOSTING, "customer_id": BOB})
                time.sleep(0.001)

        threads = [threading.Thread(target=work) for work in [one_by_one] * 3 + [in_passing]]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: len(recorded) > 20 and buffer.tally.created)
            running.kill()
            before = len(recorded)
            running.start()
            wait_for(lambda: len(recorded) > before + 20)
            is_over.set()
            for thread in threads:
                thread.join(90)
            buffer.close(60)
        finally:
            is_over.set()
    tally = buffer.tally
    expected = {
        ALICE: len(recorded) * Decimal("2.90"),
        BOB: (tally.created + tally.replayed) * Decimal("2.90"),
    }
    count = len(recorded) + tally.created + tally.replayed
    expect_exactly(running, "killed service", expected, count)
    assert any(each.attempts > 1 for each in recorded)
