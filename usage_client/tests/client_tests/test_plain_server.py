"""Against a server that keeps the contract's letter and has nothing beyond it."""

import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from client_tests.samples import hosting
from usage_client import UsageClient

BILL = {"id": 7, "period": "2026-11", "total": "2.900000", "currency": "EUR"}


class Plain(BaseHTTPRequestHandler):
    """HTTP/1.0, no echo of anything, a connection for each request."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "records" in asked:
            keys = [each["idempotencyKey"] for each in asked["records"]]
            verdicts = [{"idempotencyKey": key, "status": STATUSES.get(key, key)} for key in keys]
            return self.answer(200, {"results": verdicts})
        units, price = Decimal(asked["unitsConsumed"]), Decimal(asked["pricePerUnit"])
        return self.answer(
            201,
            {
                "id": "r1",
                "customerId": asked["customerId"],
                "service": asked["service"],
                "unitsConsumed": f"{units}.000000",
                "pricePerUnit": str(price),
                "amount": f"{(units * price).normalize():f}",
                "recordedAt": "2026-11-27T10:00:00+00:00",
                "lateFor": None,
                "bill": BILL,
            },
        )

    def do_GET(self) -> None:
        line = {"service": "CDN", "pricePerUnit": "0.05", "unitsConsumed": "58", "amount": "2.9"}
        bill = {**BILL, "customerId": 123, "status": "open", "lines": [{**line, "records": 1}]}
        self.answer(200, {"next": None, "previous": None, "results": [bill]})

    def answer(self, status: int, document: Any) -> None:
        self.send_response_only(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: Any) -> None:
        pass


STATUSES = {"a": "created", "b": "replayed", "c": "conflict"}


@pytest.fixture
def plain() -> Iterator[UsageClient]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        with UsageClient(f"http://127.0.0.1:{server.server_port}", "key", 5) as client:
            yield client
        server.shutdown()
        thread.join()


def test_a_record_needs_no_more_than_the_contract_promises(plain: UsageClient) -> None:
    found = plain.record(**hosting())
    assert (found.amount, found.bill.total) == (Decimal("2.9"), Decimal("2.9"))
    assert (found.attempts, found.replayed, found.id) == (1, False, "r1")


def test_a_verdict_needs_neither_id_nor_errors(plain: UsageClient) -> None:
    keys = ["a", "invalid", "unknown_customer", "b", "c"]
    results = plain.record_many(hosting(idempotency_key=key) for key in keys)
    assert [each.status for each in results] == [STATUSES.get(key, key) for key in keys]
    assert {each.attempts for each in results} == {1}
    assert results[0].id is None


def test_a_buffer_needs_no_more_either(plain: UsageClient) -> None:
    with plain.buffered() as buffer:
        buffer.record(**hosting(idempotency_key="a"))
        assert buffer.flush(5).created == 1


def test_bills_need_no_more_either(plain: UsageClient) -> None:
    [bill] = plain.bills(123)
    assert (bill.total, bill.lines[0].amount) == (Decimal("2.9"), Decimal("2.9"))
