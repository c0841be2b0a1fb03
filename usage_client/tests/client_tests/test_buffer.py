"""Records in passing: accepted at once, and in the end either recorded or reported."""

import json
import logging
import threading
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from client_tests.samples import hosting, run, wait_for
from usage_client import (
    BufferClosed,
    BufferFull,
    InvalidRecord,
    KeyConflict,
    Misconfigured,
    NotAuthorised,
    NotFlushed,
    RecordsRefused,
    Result,
    UnknownCustomer,
    UsageClient,
)
from usage_client.testing import UsageServer, moods


def test_leaving_the_block_waits_for_the_last(server: UsageServer, client: UsageClient) -> None:
    with client.buffered() as buffer:
        pending = [buffer.record(**hosting()) for _ in range(2500)]
    assert len(server.records) == 2500
    assert all(each.done() for each in pending)
    assert pending[0].result().ok
    assert buffer.tally == (2500, 0, 0)
    assert len(server.requests) < 20


def test_a_record_leaves_without_being_asked(server: UsageServer, client: UsageClient) -> None:
    with client.buffered(linger=0.05) as buffer:
        found = buffer.record(**hosting(identity="x")).result(timeout=5)
        assert found.status == "created"
        assert buffer.record(**hosting(identity="x")).result(timeout=5).replayed
        assert len(buffer) == 0


def test_a_float_is_refused_where_it_stands(client: UsageClient) -> None:
    with client.buffered() as buffer:
        with pytest.raises(InvalidRecord):
            buffer.record(**hosting(price_per_unit=0.05))
        with pytest.raises(InvalidRecord):
            buffer.record_many([hosting(), hosting(units_consumed=0)])
        assert len(buffer) == 0


def test_a_record_that_leaves_late_is_of_the_time_it_was_made(
    server: UsageServer, client: UsageClient
) -> None:
    with client.buffered(linger=0.3) as buffer:
        before = time.time()
        buffer.record(**hosting())
        after = time.time()
        # A key that somebody chose may have been sent before, without a time.
        buffer.record(**hosting(identity="x"))
    made, named = server.records
    assert before <= made.recorded_at.timestamp() <= after
    assert named.usage.recorded_at is None


def test_a_full_buffer_holds_the_caller_up_and_drops_nothing(server: UsageServer) -> None:
    client = server.client(deadline=10)
    server.always(moods.delay(0.2))
    with client.buffered(capacity=10, batch_size=10, linger=0) as buffer:
        for _ in range(30):
            buffer.record(**hosting())
        assert len(server.records) >= 20
    assert len(server.records) == 30


def test_a_buffer_that_stays_full_says_so_and_has_not_accepted(server: UsageServer) -> None:
    client = server.client(deadline=0.2)
    server.stop()
    buffer = client.buffered(capacity=2, patience=0.1, linger=0)
    buffer.record(**hosting(idempotency_key="1"))
    buffer.record(**hosting(idempotency_key="2"))
    with pytest.raises(BufferFull) as caught:
        buffer.record(**hosting(idempotency_key="3"))
    assert caught.value.idempotency_key == "3"
    assert caught.value.outcome_known
    with pytest.raises(BufferFull):
        buffer.record_many(hosting() for _ in range(3))
    server.start()
    buffer.close(20)
    assert {each.usage.idempotency_key for each in server.records} == {"1", "2"}


def test_an_outage_is_sat_out(server: UsageServer) -> None:
    client = server.client(deadline=0.2)
    server.stop()
    with client.buffered(linger=0) as buffer:
        pending = [buffer.record(**hosting()) for _ in range(50)]
        wait_for(lambda: buffer.trouble)
        with pytest.raises(NotFlushed) as caught:
            buffer.flush(timeout=0.3)
        assert len(caught.value.unsettled) == 50
        assert not caught.value.outcome_known
        sent = json.loads(caught.value.body)["records"]
        assert caught.value.idempotency_key == sent[0]["idempotencyKey"]
        assert not pending[0].done()
        server.start()
        assert buffer.flush(timeout=10).created == 50
        assert buffer.trouble is None


def test_what_was_not_flushed_at_the_end_is_handed_back(server: UsageServer) -> None:
    client = server.client(deadline=0.1)
    server.always(moods.lose_answer())
    with pytest.raises(NotFlushed) as caught, client.buffered(exit_timeout=0.3) as buffer:
        buffer.record(**hosting())
    server.well()
    (result,) = server.client().record_many(caught.value.unsettled)
    assert result.replayed
    with pytest.raises(BufferClosed):
        buffer.record(**hosting())


def test_a_service_that_refuses_us_is_not_waited_for(server: UsageServer) -> None:
    client = server.client()
    server.always(moods.refuse(401))
    buffer = client.buffered(linger=0)
    buffer.record(**hosting())
    with pytest.raises(NotFlushed, match="401") as caught:
        buffer.flush()  # for as long as it takes
    assert isinstance(caught.value.__cause__, NotAuthorised)
    server.well()
    assert buffer.flush(10).created == 1
    buffer.close()


def test_who_asks_is_told_and_flush_then_is_silent(
    server: UsageServer, client: UsageClient
) -> None:
    with client.buffered(linger=0) as buffer:
        nobody = buffer.record(**hosting(customer_id=999))
        with pytest.raises(UnknownCustomer) as caught:
            nobody.result(timeout=5)
        assert caught.value.idempotency_key == nobody.idempotency_key
        assert caught.value.body == server.requests[-1].body
        assert buffer.flush(5).refused == 1


def test_what_nobody_asked_about_is_told_at_the_end(client: UsageClient) -> None:
    buffer = client.buffered()
    buffer.record(**hosting(customer_id=999))
    buffer.record(**hosting(idempotency_key="k"))
    buffer.record(**hosting(idempotency_key="k", units_consumed=59))
    buffer.record(**hosting())
    with pytest.raises(RecordsRefused) as caught:
        buffer.close()
    assert [each.status for each in caught.value.refused] == ["unknown_customer", "conflict"]
    assert caught.value.outcome_known
    assert caught.value.idempotency_keys[1] == "k"
    assert buffer.tally == (2, 0, 2)


def test_a_refusal_is_logged_with_its_key(
    client: UsageClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RecordsRefused), client.buffered() as buffer:
        buffer.record(**hosting(customer_id=999, idempotency_key="lost-customer"))
    assert [each.levelno for each in caplog.records if "lost-customer: the" in each.message] == [
        logging.ERROR
    ]


def test_each_result_is_told_to_the_callback_whatever_that_does(client: UsageClient) -> None:
    seen: list[Result] = []

    def callback(result: Result) -> None:
        seen.append(result)
        raise RuntimeError("not today")

    with client.buffered(on_result=callback) as buffer:
        buffer.record(**hosting(customer_id=999))
        buffer.record(**hosting())
    assert sorted(each.status for each in seen) == ["created", "unknown_customer"]


def test_an_exception_in_the_block_is_the_one_that_comes_out(
    server: UsageServer, client: UsageClient
) -> None:
    def work() -> None:
        with client.buffered() as buffer:
            buffer.record(**hosting())
            buffer.record(**hosting(customer_id=999))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert len(server.records) == 1


def test_many_threads_fill_one_buffer(
    server: UsageServer, impatient: Callable[..., UsageClient]
) -> None:
    client = impatient(deadline=30)
    server.always(moods.chaos(3, 0.4))
    with client.buffered(capacity=300, batch_size=50) as buffer:

        def work() -> None:
            for _ in range(200):
                buffer.record(**hosting())

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tally = buffer.flush(60)
    assert sum(tally) == 2000
    assert len(server.records) == 2000
    assert server.total(123) == 2000 * Decimal("2.90")


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"batch_size": 0}, {"batch_size": 1001}, {"linger": -1}]
)
def test_options_that_make_no_sense_are_refused(
    client: UsageClient, options: dict[str, int]
) -> None:
    with pytest.raises(Misconfigured):
        client.buffered(**options)  # type: ignore[arg-type]


def test_the_end_of_the_process_waits_for_the_last(server: UsageServer) -> None:
    done = run(server, "buffer = client.buffered(linger=60)\nbuffer.record(**HOSTING)\n")
    assert done.returncode == 0, done.stderr
    assert len(server.records) == 1


def test_the_end_of_the_process_says_what_it_could_not_send(server: UsageServer) -> None:
    server.always(moods.refuse(401))
    done = run(server, "buffer = client.buffered(linger=60)\nbuffer.record(**HOSTING)\n")
    assert "1 records are not recorded yet" in done.stderr, done.stderr


def test_the_end_of_a_multiprocessing_child_waits_for_the_last(server: UsageServer) -> None:
    done = run(
        server,
        """
import multiprocessing
buffer = client.buffered(linger=60)
buffer.record(**HOSTING)
def work():
    for _ in range(3):
        buffer.record(**HOSTING)
children = [multiprocessing.get_context("fork").Process(target=work) for _ in range(4)]
for child in children: child.start()
for child in children: child.join()
""",
    )
    assert done.returncode == 0, done.stderr
    assert len(server.records) == 13


def test_a_child_begins_with_an_empty_buffer_and_the_parent_keeps_its_own(
    server: UsageServer,
) -> None:
    done = run(
        server,
        """
import os, threading
buffer = client.buffered(linger=0.01)
stop = threading.Event()
def work():
    while not stop.is_set():
        buffer.record(**HOSTING)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
children = []
for _ in range(10):
    child = os.fork()
    if not child:
        assert len(buffer) == 0
        for _ in range(5):
            buffer.record(**HOSTING)
        buffer.close()
        os._exit(0 if buffer.tally == (5, 0, 0) else 1)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
for thread in threads: thread.join()
tally = buffer.close()
assert codes == [0] * 10, codes
print(tally.created, tally.replayed)
""",
    )
    assert done.returncode == 0, done.stderr
    created, replayed = map(int, done.stdout.split())
    assert replayed == 0
    assert len(server.records) == created + 50


def test_a_key_in_the_buffer_twice_is_one_record_or_a_conflict(client: UsageClient) -> None:
    with client.buffered() as buffer:
        first, same, other = (
            buffer.record(**hosting(idempotency_key="k", units_consumed=units))
            for units in (1, 1, 2)
        )
        assert first.result(5).status == "created"
        assert same.result(5).status == "replayed"
        with pytest.raises(KeyConflict):
            other.result(5)
