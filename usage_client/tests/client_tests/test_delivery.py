"""One record, and everything that can happen to it on its way."""

import dataclasses
import json
import logging
import socket
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from client_tests.samples import hosting, wait_for
from usage_client import (
    Attempt,
    InvalidRecord,
    KeyConflict,
    Misconfigured,
    NotAuthorised,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    UnknownCustomer,
    Usage,
    UsageClient,
    UsageError,
)
from usage_client.testing import UsageServer, moods
from usage_client.testing.frontend import Exchange, Mood, Reply

Impatient = Callable[..., UsageClient]


def test_a_record_comes_back_whole_and_exact(client: UsageClient) -> None:
    found = client.record(**hosting(recorded_at="2026-11-05T10:00:00.000007Z", identity="x"))
    assert found.amount == Decimal("2.90")
    assert found.units_consumed == 58
    assert found.price_per_unit == Decimal("0.05")
    assert found.recorded_at.microsecond == 7
    assert found.bill.period == "2026-11"
    assert found.bill.total == Decimal("2.90")
    assert (found.replayed, found.attempts, found.late_for) == (False, 1, None)
    assert client.record(**hosting(recorded_at="2026-11-05T10:00:00.000007Z", identity="x")) \
        .replayed  # fmt: skip


def test_numbers_of_36_digits_stay_exact(client: UsageClient) -> None:
    most = "999999999999.999999"
    found = client.record(**hosting(units_consumed=most, price_per_unit=most))
    assert str(found.amount) == "999999999999999998000000.000000000001"


def no_http(exchange: Exchange) -> None:
    exchange._handler.wfile.write(b"\0\0 hello\r\n\r\n")


PASSING: dict[str, Callable[[], Mood]] = {
    "request lost": moods.lose_request,
    "answer lost": moods.lose_answer,
    "answer cut": moods.truncate,
    "answer no JSON": moods.corrupt,
    "answer of another": moods.mix_up,
    "request damaged": moods.damage_request,
    "503": moods.unavailable,
    "503 with a time": lambda: moods.unavailable(retry_after=0),
    "500": lambda: moods.refuse(500),
    "502": lambda: moods.refuse(502),
    "504": lambda: moods.refuse(504),
    "408": lambda: moods.refuse(408),
    "425": lambda: moods.refuse(425),
    "429": lambda: moods.refuse(429),
    "204": lambda: lambda exchange: exchange.send(Reply(204)),
    "202": lambda: lambda exchange: exchange.send(Reply.json(202, {})),
    "an empty object": lambda: lambda exchange: exchange.send(Reply.json(201, {})),
    "a list": lambda: lambda exchange: exchange.send(Reply.json(201, [])),
    "NaN": lambda: lambda exchange: exchange.send(Reply(201, b"NaN")),
    "no end of zeros": lambda: lambda exchange: exchange.send(Reply(201, b"[1e%s]" % (b"9" * 99))),
    "deep": lambda: lambda exchange: exchange.send(Reply(201, b"[" * 100_000)),
    "no HTTP": lambda: no_http,
}


@pytest.mark.parametrize("trouble", PASSING)
def test_what_passes_is_tried_again_with_the_same_key_and_the_same_bytes(
    server: UsageServer, client: UsageClient, trouble: str
) -> None:
    server.then(PASSING[trouble](), PASSING[trouble]())
    found = client.record(**hosting())
    assert found.attempts == 3
    sent = {(request.headers["Idempotency-Key"], request.body) for request in server.requests}
    assert sent == {(found.idempotency_key, server.requests[0].body)}
    assert len({request.headers["X-Request-ID"] for request in server.requests}) == 3
    assert [stored.usage.idempotency_key for stored in server.records] == [found.idempotency_key]


def changed(**fields: Any) -> Mood:
    def act(exchange: Exchange) -> None:
        reply = exchange.answer()
        found = {**json.loads(reply.body), **fields}
        exchange.send(Reply.json(reply.status, found))

    return act


@pytest.mark.parametrize(
    "fields",
    [
        {"customerId": 456},
        {"customerId": True},
        {"service": "database hosting"},
        {"unitsConsumed": "59"},
        {"unitsConsumed": [58]},
        {"unitsConsumed": True},
        {"unitsConsumed": "NaN"},
        {"pricePerUnit": "0.5"},
        {"amount": "2.91"},
        {"amount": "many"},
        {"recordedAt": "2026-11-05T10:00:01Z"},
        {"recordedAt": None},
        {"idempotencyKey": "of-somebody-else"},
        {"bill": None},
        {"id": None},
        {"id": True},
    ],
)
def test_an_answer_that_does_not_repeat_the_record_is_not_believed(
    server: UsageServer, client: UsageClient, fields: dict[str, Any]
) -> None:
    server.then(changed(**fields))
    assert client.record(**hosting(recorded_at="2026-11-05T10:00:00Z")).attempts == 2


def test_an_answer_to_another_of_our_requests_is_not_believed(
    server: UsageServer, client: UsageClient
) -> None:
    first: list[Reply] = []

    def keep(exchange: Exchange) -> None:
        first.append(exchange.answer())
        exchange.send(first[0])

    server.then(keep, lambda exchange: exchange.send(first[0]))
    client.record(**hosting())
    # The same values under another key: only the request's id tells them apart.
    assert client.record(**hosting()).attempts == 2
    assert len(server.records) == 2


def test_a_gateway_may_give_requests_ids_of_its_own(
    server: UsageServer, client: UsageClient
) -> None:
    def renamed(exchange: Exchange) -> None:
        reply = exchange.answer()
        exchange.send(Reply(reply.status, reply.body, {"X-Request-ID": "gateway-7"}))

    server.always(renamed)
    assert client.record(**hosting()).attempts == 1


FINAL = {
    400: Refused,
    401: NotAuthorised,
    403: NotAuthorised,
    404: Misconfigured,
    405: Refused,
    409: Refused,
    411: Refused,
    413: Refused,
    415: Refused,
    422: Refused,
    301: Misconfigured,
    303: Misconfigured,
    307: Misconfigured,
    308: Misconfigured,
}


@pytest.mark.parametrize("status", FINAL)
def test_what_cannot_succeed_is_tried_once(
    server: UsageServer, client: UsageClient, status: int
) -> None:
    server.then(moods.refuse(status))
    with pytest.raises(UsageError) as caught:
        client.record(**hosting(idempotency_key="k"))
    error = caught.value
    assert type(error) is FINAL[status]
    assert (error.attempts, error.status, error.outcome_known) == (1, status, True)
    assert error.idempotency_key == "k"
    assert error.body == server.requests[0].body
    assert len(server.requests) == 1


def test_only_a_fault_in_the_record_makes_the_record_invalid(
    server: UsageServer, client: UsageClient
) -> None:
    server.then(moods.refuse(400, pointer="/service"))
    with pytest.raises(InvalidRecord) as caught:
        client.record(**hosting())
    assert caught.value.errors[0]["pointer"] == "/service"


def test_the_service_s_own_refusals_have_their_exceptions(
    server: UsageServer, client: UsageClient
) -> None:
    client.record(**hosting(idempotency_key="k"))
    with pytest.raises(KeyConflict) as conflict:
        client.record(**hosting(idempotency_key="k", units_consumed=59))
    assert conflict.value.outcome_known
    with pytest.raises(UnknownCustomer):
        client.record(**hosting(idempotency_key="k2", customer_id=999))
    server.customers[999] = "Zoe"
    assert not client.record(**hosting(idempotency_key="k2", customer_id=999)).replayed
    with pytest.raises(InvalidRecord) as invalid:
        client.record(**hosting(recorded_at="2099-01-01T00:00Z"))
    assert invalid.value.errors[0]["pointer"] == "/recordedAt"
    server.revoke_key(server.api_key)
    with pytest.raises(NotAuthorised):
        client.record(**hosting())


def test_a_shut_door_does_not_say_whether_an_earlier_attempt_went_through_it(
    server: UsageServer, client: UsageClient
) -> None:
    server.then(moods.lose_answer(), moods.refuse(401))
    with pytest.raises(NotAuthorised) as caught:
        client.record(**hosting())
    assert not caught.value.outcome_known
    assert len(server.records) == 1


def test_a_verdict_on_the_record_says_it(server: UsageServer, client: UsageClient) -> None:
    server.then(moods.lose_answer())
    with pytest.raises(UnknownCustomer) as caught:
        client.record(**hosting(customer_id=999))
    assert caught.value.outcome_known


def test_a_page_that_is_not_the_service_s_is_no_unknown_customer(
    server: UsageServer, client: UsageClient
) -> None:
    server.then(lambda exchange: exchange.send(Reply(404, b"<html>nginx</html>")))
    with pytest.raises(Misconfigured):
        client.record(**hosting())


def test_a_wrong_address_is_no_unknown_customer(server: UsageServer) -> None:
    with UsageClient(f"{server.url}/api", server.api_key) as lost:
        with pytest.raises(Misconfigured, match="base_url") as caught:
            lost.record(**hosting())
        error = caught.value
        assert error.problem["type"] == "urn:problem:not-found"
        assert (error.is_final, error.outcome_known, error.attempts) == (False, True, 1)
        assert error.unsettled == list(error.records)
        with pytest.raises(Misconfigured):
            lost.find(identity="x")
        with pytest.raises(Misconfigured):
            list(lost.bills(123))


def test_a_wrong_address_does_not_say_what_an_earlier_attempt_did(
    server: UsageServer, client: UsageClient
) -> None:
    server.then(moods.lose_answer(), moods.refuse(404, code="not-found"))
    with pytest.raises(Misconfigured) as caught:
        client.record(**hosting())
    assert not caught.value.outcome_known
    assert len(server.records) == 1


def test_another_s_verdict_on_its_fields_makes_no_record_invalid(
    server: UsageServer, client: UsageClient
) -> None:
    server.then(moods.refuse(400, code="gateway-policy", pointer="/headers/via"))
    with pytest.raises(Refused) as caught:
        client.record(**hosting())
    assert not caught.value.is_final


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere(
    server: UsageServer, client: UsageClient
) -> None:
    with UsageServer() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            server.then(moods.redirect(f"{elsewhere.url}/api/v1/usage/", status))
            with pytest.raises(Misconfigured, match="redirect"):
                client.record(**hosting())
        assert not elsewhere.requests
    assert not server.records


def test_retry_after_is_waited_for(
    server: UsageServer, client: UsageClient, pauses: list[float]
) -> None:
    server.then(moods.unavailable(retry_after=3), moods.unavailable(retry_after="soon"))
    client.record(**hosting())
    assert pauses[0] == 3
    assert pauses[1] <= 0.2


def test_a_slow_answer_is_waited_for(server: UsageServer) -> None:
    server.always(moods.delay_answer(1.3))
    assert server.client(deadline=3).record(**hosting()).attempts == 1


def test_no_pause_of_our_own_gives_the_deadline_away(
    server: UsageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server.client(deadline=2)
    monkeypatch.setattr(client._delivery.rng, "uniform", lambda least, most: most)
    # At 0, 0.1, 0.3, 0.7 and 1.5 seconds; the next pause would be 1.6.
    server.then(*[moods.unavailable()] * 5)
    assert client.record(**hosting()).attempts == 6


def test_a_wait_longer_than_the_deadline_is_told_and_not_waited_for(
    server: UsageServer, client: UsageClient, pauses: list[float]
) -> None:
    server.always(moods.refuse(429, retry_after=3600))
    with pytest.raises(RateLimited) as caught:
        client.record(**hosting())
    assert caught.value.retry_after == 3600
    assert caught.value.outcome_known
    assert caught.value.attempts == 1
    assert not pauses


def test_nothing_listening_is_known_to_have_recorded_nothing(server: UsageServer) -> None:
    client = server.client(deadline=0.5)
    server.stop()
    with pytest.raises(Unavailable) as caught:
        client.record(**hosting())
    assert type(caught.value) is Unavailable
    assert caught.value.outcome_known
    assert caught.value.attempts > 1
    server.start()
    assert not server.client().send(caught.value.records[0]).replayed


def test_an_answer_lost_for_good_is_not_known_and_can_be_settled_later(
    server: UsageServer,
) -> None:
    client = server.client(deadline=0.4)
    server.always(moods.lose_answer())
    with pytest.raises(OutcomeUnknown) as caught:
        client.record(**hosting())
    assert not caught.value.outcome_known
    server.well()
    assert client.send(caught.value.records[0]).replayed
    assert len(server.records) == 1


@pytest.mark.parametrize("mood", [moods.drip(20), moods.delay(20), moods.delay_answer(20)])
def test_the_deadline_is_for_everything_a_dripping_answer_too(
    server: UsageServer, mood: Mood
) -> None:
    client = server.client(deadline=0.6)
    server.always(mood)
    # Whoever waited for the answer would have it.
    with pytest.raises(OutcomeUnknown):
        client.record(**hosting())


def lines_since(before: set[threading.Thread]) -> set[threading.Thread]:
    now = set(threading.enumerate()) - before
    return {each for each in now if each.name == "usage-client-line"}


def test_a_hung_up_line_leaves_no_thread_behind(server: UsageServer) -> None:
    before = set(threading.enumerate())
    client = server.client(deadline=0.3)
    server.always(moods.drip(20))
    with pytest.raises(OutcomeUnknown):
        client.record(**hosting())
    wait_for(lambda: not lines_since(before), 5)


def test_a_name_that_nobody_looks_up_does_not_outlast_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken, has_ended = threading.Event(), threading.Event()

    def dreaming(*args: object, **options: object) -> Any:
        woken.wait(60)
        has_ended.set()
        raise socket.gaierror("nobody there")

    monkeypatch.setattr("urllib3.util.connection.socket.getaddrinfo", dreaming)
    client = UsageClient("https://accrue.invalid", "key", deadline=0.3)
    with pytest.raises(Unavailable):
        client.record(**hosting())
    assert not has_ended.is_set()
    woken.set()


def test_one_slow_attempt_leaves_time_for_another(server: UsageServer) -> None:
    client = server.client(deadline=5, attempt_timeout=0.2)
    server.then(moods.delay_answer(20))
    found = client.record(**hosting())
    assert (found.attempts, found.replayed) == (2, True)


def test_a_connection_that_the_service_has_closed_meanwhile_is_no_trouble(
    server: UsageServer, client: UsageClient
) -> None:
    client.record(**hosting())
    server.stop()
    server.start()
    client.record(**hosting())
    assert len(server.records) == 2


def test_in_a_long_outage_calls_fail_at_once_until_one_succeeds(server: UsageServer) -> None:
    client = server.client(deadline=0.2)
    server.always(moods.unavailable())
    attempts = []
    for _ in range(6):
        with pytest.raises(Unavailable) as caught:
            client.record(**hosting())
        attempts.append(caught.value.attempts)
    assert attempts[0] > 1
    assert attempts[-1] == 1
    server.well()
    client.record(**hosting())
    server.then(moods.unavailable())
    assert client.record(**hosting()).attempts == 2


def test_fifty_threads_share_a_client_and_nothing_else(
    server: UsageServer, impatient: Impatient
) -> None:
    client = impatient(deadline=20)
    server.always(moods.chaos(1))
    found: dict[int, str] = {}

    def work(number: int) -> None:
        for turn in range(4):
            record = client.record(**hosting(service=f"s{number}", identity=f"{number} {turn}"))
            assert record.service == f"s{number}"
            found[number * 10 + turn] = record.idempotency_key

    threads = [threading.Thread(target=work, args=[number]) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found.values())) == 200
    assert server.total(123) == 200 * Decimal("2.90")


def test_every_attempt_is_told_to_the_hook(server: UsageServer, impatient: Impatient) -> None:
    seen: list[Attempt] = []
    client = impatient(on_attempt=seen.append)
    server.then(moods.unavailable(retry_after=2), moods.lose_answer())
    client.record(**hosting())
    assert [(each.number, each.status, each.records) for each in seen] == [
        (1, 503, 1),
        (2, None, 1),
        (3, 200, 1),
    ]
    assert seen[0].pause == 2
    assert seen[2].trouble is None


def test_a_hook_that_fails_harms_nobody(
    server: UsageServer, impatient: Impatient, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(attempt: Attempt) -> None:
        raise RuntimeError("no metrics today")

    impatient(on_attempt=broken).record(**hosting())
    assert len(server.records) == 1
    assert "A hook failed" in caplog.text


def test_the_api_key_is_in_no_log_and_in_no_exception(
    server: UsageServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "very-secret-0123456789"
    server.issue_key(secret, "team", "usage.read")
    client = UsageClient(server.url, secret, deadline=0.2)
    errors = []
    for mood in (moods.well, moods.lose_answer(), moods.refuse(401), moods.redirect("/")):
        server.always(mood)
        with pytest.raises(UsageError) as caught:
            client.record(**hosting())
        errors.append(caught.value)
    for error in errors:
        assert error.__cause__ is None
        assert secret not in repr(error) + repr(vars(error))
        assert error.__context__ is None or secret not in repr(vars(error.__context__))
    assert secret not in caplog.text
    assert secret not in repr(client) + repr(client._transport) + repr(vars(client))


def test_who_asks_is_named(server: UsageServer) -> None:
    server.client(application="shop/2.1").record(**hosting())
    assert server.requests[0].headers["User-Agent"].startswith("usage-client/1.")
    assert server.requests[0].headers["User-Agent"].endswith(" shop/2.1")
    assert server.requests[0].headers["Content-Type"] == "application/json"


def test_bills_come_typed_page_by_page(server: UsageServer, client: UsageClient) -> None:
    client.record(**hosting())
    client.record(**hosting(price_per_unit="0.50", units_consumed=1))
    (bill,) = client.bills(123)
    assert bill.total == Decimal("3.40")
    assert [(line.price_per_unit, line.amount, line.records) for line in bill.lines] == [
        (Decimal("0.05"), Decimal("2.90"), 1),
        (Decimal("0.50"), Decimal("0.50"), 1),
    ]
    assert list(client.bills(789)) == []
    with pytest.raises(UnknownCustomer):
        list(client.bills(999))
    with pytest.raises(InvalidRecord):
        list(client.bills(123, "November"))


def test_the_next_page_is_asked_of_the_same_host(server: UsageServer, client: UsageClient) -> None:
    client.record(**hosting())
    with UsageServer() as elsewhere:

        def first(exchange: Exchange) -> None:
            page = json.loads(exchange.answer().body)
            page["next"] = f"{elsewhere.url}/api/v1/usage/bills/?customerId=123&cursor=abc"
            exchange.send(Reply.json(200, page))

        server.then(first)
        assert len(list(client.bills(123))) == 2
        assert not elsewhere.requests
    assert "cursor=abc" in server.requests[-1].target


def test_how_a_call_ended_can_be_looked_up(server: UsageServer, client: UsageClient) -> None:
    assert client.find(identity="x") is None
    made = client.record(**hosting(identity="x"))
    found = client.find(identity="x")
    assert found
    assert (found.id, found.amount, found.replayed) == (made.id, made.amount, True)
    again = client.find(idempotency_key=made.idempotency_key)
    assert again
    assert again.id == made.id
    with pytest.raises(InvalidRecord):
        client.find()


def test_a_receipt_proves_what_landed_and_nothing_else(
    server: UsageServer, client: UsageClient
) -> None:
    usages = [Usage(**hosting(idempotency_key=f"job-7/{number}")) for number in range(12)]
    client.record(**hosting(idempotency_key="other"))
    client.record_many(usages)
    receipt = client.receipt("job-7/", "job-7/~")
    assert (receipt.count, receipt.sum) == (12, 12 * Decimal("2.90"))
    assert receipt.proves(reversed(usages))
    assert not receipt.proves(usages[:-1])
    assert not receipt.proves([*usages, Usage(**hosting())])
    dearer = Usage(**hosting(idempotency_key="job-7/3", units_consumed=59))
    assert not receipt.proves([*usages[:3], dearer, *usages[4:]])
    assert not dataclasses.replace(receipt, is_complete=False).proves(usages)
    assert client.receipt().count == 13
    assert client.receipt("zzz").proves([])
