"""Real threads on real connections: one record for each key, exact totals, no deadlock."""

import random
import time
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from threading import Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from common.idempotency import KeyReused
from common.tests.races import at_once
from common.tests.running import wait_for
from usage import batches, corrections, metering, proof
from usage.models import Bill, Customer, UsageRecord
from usage.reading import Usage
from usage.tests.conftest import ALICE, BOB, TAYLOR

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _customers():
    for id in (ALICE, BOB, TAYLOR):
        Customer.objects.create(id=id, name=str(id))


def usage(key, customer=ALICE, units="1", service="s", at=None):
    return Usage(key, customer, service, units, "0.1", at)


def use(key, **details):
    return metering.record_usage(owner="t", usage=usage(key, **details), now=timezone.now())


def send(batch):
    return [v.status for v in batches.record_many(owner="t", batch=batch, now=timezone.now())]


def total_of(customer):
    return Bill.objects.get(customer=customer).total


def test_fifty_threads_with_one_key_make_one_record():
    results = at_once([partial(use, "k1") for _ in range(50)])
    assert sorted(result.is_replay for result in results) == [False] + [True] * 49
    assert len({result.id for result in results}) == 1
    assert total_of(ALICE) == Decimal("0.1")


def test_fifty_threads_with_one_key_for_two_things_record_one_of_them():
    results = at_once([partial(use, "k1", units=str(1 + n % 2)) for n in range(50)])
    refused = [result for result in results if isinstance(result, KeyReused)]
    assert len(refused) == 25
    assert UsageRecord.objects.count() == 1
    assert list(proof.discrepancies()) == []


def test_fifty_threads_with_keys_of_their_own_lose_nothing():
    results = at_once([partial(use, f"k{n}", customer=(ALICE, BOB)[n % 2]) for n in range(50)])
    assert not any(result.is_replay for result in results)
    assert total_of(ALICE) == total_of(BOB) == Decimal("2.5")
    # A hot bill's total is told exactly: each writer saw its own and all before it.
    assert max(r.total for r in results if r.customer_id == ALICE) == Decimal("2.5")


def test_one_batch_sent_by_many_is_recorded_once():
    batch = [usage(f"k{n:03}", customer=(ALICE, BOB)[n % 2]) for n in range(100)]
    results = at_once([partial(send, random.sample(batch, 100)) for _ in range(10)])
    verdicts = [verdict for result in results for verdict in result]
    assert verdicts.count("created") == 100
    assert verdicts.count("replayed") == 900
    assert list(proof.discrepancies()) == []


def test_opposite_batches_never_end_each_other():
    """Same keys, same new bills, opposite order, again and again; some of it written before."""

    def of_round(round, numbers):
        return [
            usage(
                f"{round}-{n:03}",
                customer=(ALICE, BOB, TAYLOR)[n % 3],
                service=f"s{n % 7}",
                at=datetime(2010 + round, 1 + n % 4, 1, tzinfo=UTC),
            )
            for n in numbers
        ]

    def go(round, is_reversed):
        batch = of_round(round, range(60))
        return send(batch[::-1] if is_reversed else batch)

    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [before] = cursor.fetchone()
    for round in range(8):
        if round % 2:
            send(of_round(round, range(0, 60, 4)))
        results = at_once([partial(go, round, n % 2 == 0) for n in range(6)])
        assert all(set(result) <= {"created", "replayed"} for result in results), results
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [after] = cursor.fetchone()
    assert after == before
    assert UsageRecord.objects.count() == 8 * 60
    assert list(proof.discrepancies()) == []


def test_singles_and_batches_of_the_same_keys_agree():
    batch = [usage(f"k{n}") for n in range(30)]
    singles = [partial(use, f"k{n}") for n in range(30)]
    results = at_once([*singles, *(partial(send, batch) for _ in range(4))])
    created = sum(not result.is_replay for result in results[:30])
    created += sum(result.count("created") for result in results[30:])
    assert created == UsageRecord.objects.count() == 30
    assert total_of(ALICE) == 3


def somebody_waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def test_a_retry_waits_for_the_first_and_takes_over_when_that_one_fails():
    written = Event()

    class Broken(Exception):
        pass

    def first():
        with transaction.atomic():
            use("k1")
            written.set()
            wait_for(somebody_waits_for_a_lock)
            raise Broken

    def retry():
        written.wait()
        return use("k1")

    broken, recorded = at_once([first, retry])
    assert isinstance(broken, Broken)
    assert not recorded.is_replay
    assert UsageRecord.objects.count() == 1
    assert total_of(ALICE) == Decimal("0.1")


@pytest.mark.parametrize("is_batch", [False, True])
def test_a_customer_who_is_deleted_meanwhile_is_unknown(is_batch):
    is_deleted = Event()

    def delete():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM customer WHERE id = %s", [TAYLOR])
            is_deleted.set()
            time.sleep(0.3)

    def go():
        is_deleted.wait(10)
        if is_batch:
            return send([usage("k1"), usage("k2", customer=TAYLOR)])
        return use("k2", customer=TAYLOR)

    _, found = at_once([delete, go])
    if is_batch:
        assert found == ["created", "unknown_customer"]
    else:
        assert isinstance(found, metering.UnknownCustomer)


def test_a_record_is_taken_back_once_however_many_try():
    record = use("k1")

    def correct(key):
        return corrections.correct_record(
            id=record.id, owner="t", key=key, reason="", now=timezone.now()
        )

    results = at_once([partial(correct, f"c{n % 4}") for n in range(20)])
    corrected = [r for r in results if not isinstance(r, Exception)]
    assert sum(not r.is_replay for r in corrected) == 1
    refused = {type(r).__name__ for r in results if isinstance(r, Exception)}
    assert refused == {"AlreadyCorrected"}
    assert total_of(ALICE) == 0


def test_the_proof_sees_one_moment_while_usage_arrives():
    def write(thread):
        for n in range(20):
            use(f"{thread}-{n}")
            send([usage(f"{thread}-{n}-{i}", customer=BOB) for i in range(5)])

    def verify():
        return [line for _ in range(10) for line in proof.discrepancies()]

    results = at_once([*(partial(write, thread) for thread in range(3)), verify])
    assert results == [None, None, None, []]


def test_a_bill_is_the_sum_of_its_lines_while_usage_arrives(service_of):
    reader = service_of("accounting", "usage.read")

    def write(thread):
        for n in range(40):
            use(f"{thread}-{n}", service=f"s{n % 3}")

    def read():
        for _ in range(40):
            for bill in reader.get("/api/v1/usage/bills/").json()["results"]:
                lines = [Decimal(line["amount"]) for line in bill["lines"]]
                assert Decimal(bill["total"]) == sum(lines)

    assert at_once([*(partial(write, thread) for thread in range(3)), read]) == [None] * 4
