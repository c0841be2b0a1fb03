"""Records become part of their bills, and nobody who reads can tell when."""

from contextlib import suppress
from decimal import Decimal
from functools import partial
from threading import Event

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from common.tests.races import at_once
from usage import batches, folding, metering, proof, tasks
from usage.billing import GATE, TURNS
from usage.models import Bill, BillLine, Customer, FoldedBill, FoldedLine
from usage.reading import Usage
from usage.tests.conftest import ALICE, BOB, next_id_is


def usage(key, customer=ALICE, service="s", price="0.1"):
    return Usage(key, customer, service, "1", price, None)


def use(key, **details):
    return metering.record_usage(owner="t", usage=usage(key, **details), now=timezone.now())


def unfolded():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM usage_record JOIN usage_foldedbill USING (customer_id, period)"
            " WHERE turn > folded_to OR turn = ANY (under_way)"
        )
        return cursor.fetchone()[0]


def what_is_owed():
    return list(Bill.objects.values()), list(BillLine.objects.values())


@pytest.fixture
def two_customers():
    for id in (ALICE, BOB):
        Customer.objects.create(id=id, name=str(id))


@pytest.mark.django_db
def test_folding_changes_nothing_that_is_read(two_customers):
    for key, details in enumerate(
        [{}, {}, {"service": "r"}, {"price": "0.2"}, {"customer": BOB}, {"price": "0.1"}]
    ):
        use(str(key), **details)
    assert (unfolded(), FoldedLine.objects.count()) == (6, 0)
    before = what_is_owed()
    assert [line["records"] for line in before[1] if line["service"] == "s"].count(3) == 1
    assert folding.fold() == 2
    assert what_is_owed() == before
    assert (unfolded(), FoldedLine.objects.count()) == (0, 4)
    assert folding.fold() == 0
    use("again")
    total = Bill.objects.get(customer=ALICE).total
    tasks.fold(0)
    assert FoldedBill.objects.get(customer=ALICE).total == total
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_a_bill_with_plenty_of_records_is_folded_by_whoever_looks(two_customers):
    use("bob", customer=BOB)
    for key in range(metering.PLENTY + 1):
        use(str(key))
    assert unfolded() == 1
    assert FoldedBill.objects.get(customer=ALICE).total == Bill.objects.get(customer=ALICE).total
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_whoever_looks_does_not_wait_for_somebody_who_folds(two_customers):
    is_folding, is_done = Event(), Event()

    def fold_slowly():
        with transaction.atomic():
            folding.fold()
            is_folding.set()
            is_done.wait(30)

    def go_on():
        is_folding.wait(30)
        for key in range(metering.PLENTY + 10):
            recorded = use(str(key))
        is_done.set()
        return recorded.total

    use("first")
    _, total = at_once([fold_slowly, go_on])
    assert total == Bill.objects.get(customer=ALICE).total
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_not_ours_does_not_fold(two_customers):
    with transaction.atomic():
        for key in range(metering.PLENTY + 5):
            use(str(key))
        assert unfolded() == metering.PLENTY + 5


@pytest.mark.django_db(transaction=True)
def test_what_was_under_way_while_others_were_folded_is_folded_later(two_customers):
    is_written, may_commit = Event(), Event()

    def write_slowly():
        with transaction.atomic():
            use("slow")
            is_written.set()
            may_commit.wait(30)

    def fold_meanwhile():
        is_written.wait(30)
        seen = []
        for key in ("a", "b"):
            use(key)
            seen.append((folding.fold(), unfolded(), Bill.objects.get().total))
        may_commit.set()
        return seen

    use("first")
    _, seen = at_once([write_slowly, fold_meanwhile])
    assert seen == [(1, 0, Decimal("0.2")), (1, 0, Decimal("0.3"))]
    assert (unfolded(), Bill.objects.get().total) == (1, Decimal("0.4"))
    assert list(proof.discrepancies()) == []
    assert (folding.fold(), unfolded(), Bill.objects.get().total) == (1, 0, Decimal("0.4"))
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_nothing_is_folded_while_somebody_draws_a_turn(two_customers):
    use("first")
    is_drawing, is_done = Event(), Event()

    def draw():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [GATE])
            is_drawing.set()
            is_done.wait(30)

    def fold():
        is_drawing.wait(30)
        folded = folding.fold()
        is_done.set()
        return folded

    assert at_once([draw, fold]) == [None, 0]
    assert folding.fold() == 1


@pytest.mark.django_db(transaction=True)
def test_somebody_elses_locks_are_no_turns(two_customers):
    use("first")
    others = (-8 * 10**18, -1, 0, 1, TURNS - 1, TURNS + 10**12, 2**63 - 1)
    is_held, is_done = Event(), Event()

    def hold():
        with transaction.atomic(), connection.cursor() as cursor:
            for number in others:
                cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [number])
            is_held.set()
            is_done.wait(30)

    def fold():
        is_held.wait(30)
        try:
            return folding.fold()
        finally:
            is_done.set()

    assert at_once([hold, fold]) == [None, 1]
    assert unfolded() == 0


@pytest.mark.django_db
def test_a_sequence_of_turns_that_was_put_back_is_noticed_before_a_record_is_lost(two_customers):
    use("first")
    folding.fold()
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('usage_turn', 1, false)")
        with pytest.raises(DatabaseError, match="folded already"), transaction.atomic():
            use("second")
        cursor.execute("SELECT setval('usage_turn', max(folded_to)) FROM usage_foldedbill")
    use("second")
    assert Bill.objects.get().total == Decimal("0.2")


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_folds_what_it_wrote_may_go_on(two_customers):
    with transaction.atomic():
        use("first")
        assert folding.fold() == 1
        use("second")
        with suppress(ZeroDivisionError), transaction.atomic():
            use("taken back")
            assert folding.fold() == 1
            raise ZeroDivisionError
        use("third")
        assert (unfolded(), Bill.objects.get().total) == (2, Decimal("0.3"))
    assert list(proof.discrepancies()) == []
    assert (folding.fold(), unfolded(), Bill.objects.get().total) == (1, 0, Decimal("0.3"))
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_what_is_taken_back_takes_its_turn_with_it(two_customers):
    with transaction.atomic():
        with suppress(ZeroDivisionError), transaction.atomic():
            use("taken back")
            raise ZeroDivisionError
        use("first")
    assert folding.fold() == 1
    assert Bill.objects.get().total == Decimal("0.1")
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_careful", [False, True])
def test_now_and_then_customers_with_plenty_of_records_in_a_batch_are_folded(
    is_careful, two_customers
):
    def send(first_id):
        next_id_is(first_id)
        prefix = f"{is_careful} {first_id} "
        keys = [f"{prefix}{n}" for n in range(metering.PLENTY + 1)]
        batch = [*map(usage, keys), usage(f"{prefix}x", BOB)]
        # One twice is what a COPY cannot take.
        batches.record_many(
            owner="t", batch=[*batch, batch[0]] if is_careful else batch, now=timezone.now()
        )

    send(batches.RECORDS_PER_FOLD)
    assert unfolded() == metering.PLENTY + 2
    send(2 * batches.RECORDS_PER_FOLD - 5)
    assert unfolded() == 2
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_totals_are_right_while_writers_readers_and_folders_meet(two_customers):
    def write(thread):
        seen = []
        for n in range(30):
            seen.append(use(f"{thread}-{n}", service=f"s{n % 3}").total)
            batch = [usage(f"{thread}-{n}-{i}", (ALICE, BOB)[i % 2]) for i in range(8)]
            batches.record_many(owner="t", batch=batch, now=timezone.now())
        assert seen == sorted(seen)

    def fold():
        for _ in range(40):
            folding.fold()

    def read():
        for _ in range(40):
            assert list(proof.discrepancies()) == []

    results = at_once([*(partial(write, thread) for thread in range(4)), fold, fold, read])
    assert results == [None] * 7
    assert Bill.objects.get(customer=ALICE).total == 4 * 30 * 5 * Decimal("0.1")
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db
def test_a_bill_asks_for_no_records_but_its_own(two_customers):
    """A plan made while there was little serves when there is much."""
    with connection.cursor() as cursor:
        for n in range(4):
            use(f"early-{n}")
        for _ in range(10):
            list(Bill.objects.get(customer=ALICE).lines.all())
        cursor.execute(
            "INSERT INTO customer (id, name) SELECT n, 'x' FROM generate_series(1000, 5000) n"
        )
        cursor.execute(
            "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit)"
            " SELECT n, 's', 1, 1 FROM generate_series(1000, 5000) n"
        )
        read = "SELECT pg_stat_get_xact_tuples_returned('usage_record_of_bill'::regclass)"
        cursor.execute(read)
        [before] = cursor.fetchone()
        use("late")
        assert Bill.objects.get(customer=ALICE).lines.get().records == 5
        cursor.execute(read)
        assert cursor.fetchone()[0] - before < 100


@pytest.mark.django_db
def test_plans_made_for_few_bills_serve_many(two_customers):
    def batch(count):
        cursor.execute(
            "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit)"
            " SELECT n, 's', 1, 1 FROM generate_series(%s::int, %s::int) n",
            [1000, 1000 + count],
        )

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customer (id, name) SELECT n, 'x' FROM generate_series(1000, 6000) n"
        )
        batch(1)
        for table in ("usage_foldedbill", "usage_foldedline", "usage_record"):
            cursor.execute(f"ANALYZE {table}")
        for key in range(8):
            use(str(key))
            folding.fold()
        read = (
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class"
            " WHERE relname ~ '^usage_(record|folded|bill)'"
        )
        cursor.execute(read)
        [before] = cursor.fetchone()
        batch(5000)
        batch(5000)
        folding.fold()
        cursor.execute(read)
        # A few times each of them, and not each of them for each.
        assert cursor.fetchone()[0] - before < 20 * 5000
        assert Bill.objects.get(customer=5000).total == 2


RECORD = "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit) SELECT "
TAKE_BACK = """
INSERT INTO usage_record
    (customer_id, service, units_consumed, price_per_unit, recorded_at, corrects_id)
SELECT customer_id, service, -units_consumed, price_per_unit, recorded_at, id FROM usage_record
WHERE customer_id = ANY (%s)
"""
COUNTED = {
    "nothing": (1000, 0),
    "one record": (1000, 1),
    "one customer's records": (1000, 1000),
    "one record of each customer": ("1000 + n", 1000),
}


@pytest.mark.django_db
@pytest.mark.parametrize("counted", COUNTED)
def test_whatever_was_counted_last_the_plans_serve_many(counted, two_customers):
    def do(statement, *values):
        cursor.execute(statement, values or None)

    def tuples_read():
        do(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class"
            " WHERE relname ~ '^usage_(record|folded|bill)'"
        )
        return cursor.fetchone()[0]

    many, (whose, records) = 1000, COUNTED[counted]
    record = f"{RECORD} {{}}, 's', 1, 1 FROM generate_series(1, %s::int) n"
    fold = "SELECT usage_fold_bills(ARRAY[id]) FROM usage_foldedbill WHERE customer_id"
    with connection.cursor() as cursor:
        do("INSERT INTO customer (id, name) SELECT n, n FROM generate_series(1000, 5000) n")
        do(record.format(whose), records)
        do("ANALYZE usage_record, usage_foldedbill, usage_foldedline")
        # The plans of this session are made anew after that, for several before for any.
        for _ in range(8):
            do(record.format("2000 + n"), 1)
        do(TAKE_BACK, [2001])
        for _ in range(8):
            do(f"{fold} = 2001")
        before = tuples_read()
        do(record.format("3000 + n"), many)
        do(record.format("3000"), many)
        do(TAKE_BACK, list(range(3000, 4001)))
        do(f"{fold} BETWEEN 3000 AND 4000")
        # It takes 13 for each of them; all with all would take hundreds.
        assert tuples_read() - before < 40 * many
    assert list(proof.discrepancies()) == []
    assert not Bill.objects.filter(customer__gt=2000).exclude(total=0).exists()
