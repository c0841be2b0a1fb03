"""Many records at once: a verdict for each, in order, whatever happens to the requests."""

import json
import os
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from client_tests.samples import hosting
from usage_client import (
    InvalidRecord,
    KeyConflict,
    Misconfigured,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Unavailable,
    UnknownCustomer,
    Usage,
    UsageClient,
    UsageError,
)
from usage_client.testing import UsageServer, moods
from usage_client.testing.frontend import Exchange, Mood, Reply


def test_each_record_gets_its_verdict_in_order(server: UsageServer, client: UsageClient) -> None:
    client.record(**hosting(idempotency_key="there"))
    results = client.record_many(
        [
            hosting(idempotency_key="new"),
            hosting(idempotency_key="there"),
            hosting(idempotency_key="there", units_consumed=59),
            hosting(idempotency_key="nobody", customer_id=999),
            hosting(idempotency_key="future", recorded_at="2099-01-01T00:00Z"),
            hosting(idempotency_key="float", price_per_unit=0.05),
            Usage(**hosting(idempotency_key="prepared")),
            {"customerId": 123, "service": "s", "unitsConsumed": "1", "pricePerUnit": "1",
             "idempotencyKey": "wire"},
            {"customer_id": 123, "idempotency_key": "half"},
            hosting(idempotency_key="more", colour="red"),
            "no record",  # type: ignore[list-item]
        ]
    )  # fmt: skip
    assert [(each.idempotency_key, each.status) for each in results] == [
        ("new", "created"),
        ("there", "replayed"),
        ("there", "conflict"),
        ("nobody", "unknown_customer"),
        ("future", "invalid"),
        ("float", "invalid"),
        ("prepared", "created"),
        ("wire", "created"),
        ("half", "invalid"),
        ("more", "invalid"),
        (None, "invalid"),
    ]
    assert [each.ok for each in results] == [True] * 2 + [False] * 4 + [True] * 2 + [False] * 3
    assert results[1].replayed
    assert [type(each.error) for each in results[2:5]] == [
        KeyConflict,
        UnknownCustomer,
        InvalidRecord,
    ]
    for each in results:
        if each.error:
            assert each.error.outcome_known
            assert each.error.idempotency_key == each.idempotency_key
            with pytest.raises(type(each.error)):
                each.raise_for_status()
    assert results[2].error
    assert results[2].error.body == server.requests[-1].body
    assert len(server.records) == 4


def test_nothing_to_record_asks_nobody(server: UsageServer, client: UsageClient) -> None:
    assert client.record_many([]) == []
    assert client.record_many(iter([hosting(price_per_unit=0.5)]))[0].status == "invalid"
    assert not server.requests


@pytest.mark.parametrize("records", [hosting(), "text", b"text", Usage(**hosting())])
def test_one_record_is_no_list_of_records(client: UsageClient, records: Any) -> None:
    with pytest.raises(InvalidRecord):
        client.record_many(records)


def test_a_thousand_go_in_a_request_and_a_generator_will_do(
    server: UsageServer, client: UsageClient
) -> None:
    results = client.record_many(hosting(identity=str(number)) for number in range(2001))
    assert [len(json.loads(each.body)["records"]) for each in server.requests] == [1000, 1000, 1]
    assert len({each.idempotency_key for each in results}) == 2001
    assert server.total(123) == 2001 * Decimal("2.90")


def test_no_request_is_over_5_mib(server: UsageServer, client: UsageClient) -> None:
    def widest(number: int) -> dict[str, Any]:
        return hosting(service="\U0001f600" * 200, idempotency_key=f"{number:0200}")

    client.record_many(widest(number) for number in range(3000))
    # 1000 of the longest there can be are well below; it is the escapes that could be long.
    assert max(len(each.body) for each in server.requests) < 5 * 1024 * 1024

    quotes = [
        hosting(service='"' * 200, idempotency_key=f"{number:03}" + '"' * 190)
        for number in range(1000)
    ]
    assert all(each.ok for each in client.record_many(quotes))


PASSING: dict[str, Callable[[], Mood]] = {
    "request lost": moods.lose_request,
    "answer lost": moods.lose_answer,
    "answer cut": moods.truncate,
    "answer no JSON": moods.corrupt,
    "keys of another": moods.mix_up,
    "request damaged": moods.damage_request,
    "twice": moods.duplicate,
    "503": moods.unavailable,
}


@pytest.mark.parametrize("trouble", PASSING)
def test_a_batch_is_sent_again_as_the_same_bytes(
    server: UsageServer, client: UsageClient, trouble: str
) -> None:
    server.then(PASSING[trouble](), PASSING[trouble]())
    results = client.record_many(hosting() for _ in range(20))
    assert len({each.body for each in server.requests}) == 1
    assert all(each.ok for each in results)
    assert len(server.records) == 20


def altered(alter: Callable[[list[Any]], object]) -> Mood:
    def act(exchange: Exchange) -> None:
        found = json.loads(exchange.answer().body)
        alter(found["results"])
        exchange.send(Reply.json(200, found))

    return act


@pytest.mark.parametrize(
    "alter",
    [
        lambda results: results.pop(),
        lambda results: results.reverse(),
        lambda results: results.append(results[0]),
        lambda results: results[0].update(status="fine"),
        lambda results: results[0].update(status=None),
        lambda results: results[0].update(id=True),
        lambda results: results[0].update(status="invalid", errors=5),
        lambda results: results[0].update(idempotencyKey="other"),
        lambda results: results.insert(0, 5) or results.pop(),
    ],
)
def test_verdicts_that_do_not_fit_the_records_are_not_believed(
    server: UsageServer, client: UsageClient, alter: Callable[[list[Any]], object]
) -> None:
    server.then(altered(alter))
    results = client.record_many([hosting(), hosting()])
    assert [(each.status, each.attempts) for each in results] == [("replayed", 2)] * 2


def test_what_was_settled_before_the_service_went_away_is_known(server: UsageServer) -> None:
    client = server.client(deadline=2)
    server.then(moods.well)
    server.always(moods.lose_answer())
    with pytest.raises(OutcomeUnknown) as caught:
        client.record_many([hosting(price_per_unit=0.5), *(hosting() for _ in range(2500))])
    error = caught.value
    assert [each.status if each else None for each in error.results] == [
        "invalid",
        *["created"] * 1000,
        *[None] * 1500,
    ]
    assert len(error.unsettled) == 1500
    assert error.idempotency_key == error.unsettled[0].idempotency_key
    assert len(error.idempotency_keys) == 1000
    assert error.body == server.requests[-1].body
    assert not error.outcome_known
    server.well()
    results = client.record_many(error.unsettled)
    assert [each.status for each in results] == ["replayed"] * 1000 + ["created"] * 500
    assert len(server.records) == 2500


def test_a_batch_refused_as_a_whole_for_one_record_is_taken_apart(
    server: UsageServer, client: UsageClient
) -> None:
    def picky(exchange: Exchange) -> None:
        if b"poison" in exchange.request.body:
            moods.refuse(400, code="invalid-input", pointer="/records/0")(exchange)
        else:
            moods.well(exchange)

    server.always(picky)
    records = [hosting(idempotency_key=f"k{number}") for number in range(100)]
    records[37]["service"] = "poison"
    results = client.record_many(records)
    assert [number for number, each in enumerate(results) if not each.ok] == [37]
    assert isinstance(results[37].error, InvalidRecord)
    assert [each.idempotency_key for each in results] == [f"k{n}" for n in range(100)]
    assert len(server.records) == 99


def test_a_proxy_that_takes_less_than_the_service_gets_less(
    server: UsageServer, client: UsageClient
) -> None:
    def narrow(exchange: Exchange) -> None:
        if len(exchange.request.body) > 4000:
            exchange.send(Reply(413, b"<html>too large</html>"))
        else:
            moods.well(exchange)

    server.always(narrow)
    assert all(each.ok for each in client.record_many(hosting() for _ in range(200)))
    assert len(server.records) == 200


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotAuthorised), (302, Misconfigured), (404, Misconfigured), (400, Refused)],
)
def test_a_door_that_is_shut_is_shut_for_all(
    server: UsageServer, client: UsageClient, status: int, kind: type[UsageError]
) -> None:
    server.always(moods.refuse(status))
    with pytest.raises(kind) as caught:
        client.record_many(hosting() for _ in range(3))
    assert len(server.requests) == 1
    assert len(caught.value.unsettled) == 3
    assert caught.value.outcome_known


def test_an_outage_ends_at_the_deadline_however_many_records(server: UsageServer) -> None:
    client = server.client(deadline=0.3)
    server.stop()
    with pytest.raises(Unavailable) as caught:
        client.record_many(hosting() for _ in range(5000))
    assert caught.value.outcome_known
    assert len(caught.value.unsettled) == 5000


@pytest.mark.parametrize("seed", range(int(os.environ.get("CHAOS_SEEDS", "3"))))
def test_whatever_happens_each_is_recorded_once(
    server: UsageServer, impatient: Callable[..., UsageClient], seed: int
) -> None:
    client = impatient(deadline=60)
    server.always(moods.chaos(seed, 0.6))
    results = client.record_many(hosting(identity=str(number)) for number in range(5000))
    assert all(each.ok for each in results)
    assert len(server.records) == 5000
    assert server.total(123) == 5000 * Decimal("2.90")
