"""What the database does by itself: bills for rows from anywhere, and refusals."""

from datetime import date
from functools import partial

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from usage import batches, corrections, folding, metering, proof, services
from usage.models import Bill, BillLine, Customer, UsageRecord
from usage.reading import Usage
from usage.tests.conftest import ALICE, BOB, SAMPLE, TAYLOR

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _customers(customers):
    pass


def run(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def insert(**columns):
    row = {"customer_id": ALICE, "service": "s", "units_consumed": 1, "price_per_unit": 1}
    row |= columns
    places = ", ".join(["%s"] * len(row))
    run(f"INSERT INTO usage_record ({', '.join(row)}) VALUES ({places})", *row.values())


def at_once_checked(statement, *values):
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(statement, *values)


def test_rows_by_sql_count_like_recorded_ones():
    for customer, service, units, price in SAMPLE:
        insert(customer_id=customer, service=service, units_consumed=units, price_per_unit=price)
    totals = dict(Bill.objects.values_list("customer_id", "total"))
    assert {c: metering.as_money(total) for c, total in totals.items()} == {
        ALICE: "9.50",
        BOB: "15.80",
    }
    assert {bill.period for bill in Bill.objects.all()} == {timezone.now().date().replace(day=1)}
    assert list(proof.discrepancies()) == []


def test_a_million_rows_in_one_statement_are_one_change_of_each_bill():
    run(
        "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit)"
        " SELECT (ARRAY[123, 456])[1 + n %% 2], 's' || n %% 3, n, 0.01"
        " FROM generate_series(1, 5000) n"
    )
    assert BillLine.objects.count() == 6
    assert list(proof.discrepancies()) == []


def test_rows_by_copy_count_like_recorded_ones():
    copy = (
        "COPY usage_record (customer_id, service, units_consumed, price_per_unit, recorded_at)"
        " FROM STDIN"
    )
    with connection.cursor() as cursor, cursor.copy(copy) as rows:
        rows.write("123\tCDN\t1.5\t0.30\t2026-05-05\n456\tCDN\t2\t0.3\t2026-04-05\n")
    assert {bill.period.month: metering.as_money(bill.total) for bill in Bill.objects.all()} == {
        5: "0.45",
        4: "0.60",
    }


def test_objects_of_django_count_like_recorded_ones():
    UsageRecord.objects.create(
        customer_id=ALICE, service="s", units_consumed="2.5", price_per_unit="3"
    )
    UsageRecord.objects.bulk_create(
        UsageRecord(customer_id=ALICE, service="s", units_consumed=n, price_per_unit=1)
        for n in (1, 2)
    )
    assert Bill.objects.get().total == 10.5
    assert len({record.idempotency_key for record in UsageRecord.objects.all()}) == 3


def test_the_demo_has_the_bills_of_the_brief_in_this_month():
    Customer.objects.all().delete()
    call_command("loaddata", "usage.json", verbosity=0)
    totals = {bill.customer.name: str(bill.total) for bill in Bill.objects.all()}
    assert totals == {"Alice": "9.50", "Bob": "15.80"}
    assert list(Customer.objects.values_list("pk", "name")) == [
        (ALICE, "Alice"),
        (BOB, "Bob"),
        (TAYLOR, "Taylor"),
    ]
    assert {bill.period for bill in Bill.objects.all()} == {timezone.now().date().replace(day=1)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_written", [False, True])
def test_a_fixture_loaded_again_changes_nothing(has_written):
    call_command("loaddata", "usage.json", verbosity=0)
    before = list(UsageRecord.objects.values()), list(Bill.objects.values())
    if not has_written:
        connection.close()
    call_command("loaddata", "usage.json", verbosity=0)
    assert (list(UsageRecord.objects.values()), list(Bill.objects.values())) == before
    assert list(proof.discrepancies()) == []


@pytest.mark.django_db(transaction=True)
def test_records_of_many_transactions_are_dumped_and_loaded(tmp_path):
    insert()
    insert()
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "usage.usagerecord", natural_primary=True, output=str(dump))
    dump.write_text(dump.read_text().replace('"idempotency_key": "', '"idempotency_key": "2-'))
    call_command("loaddata", str(dump), verbosity=0)
    assert Bill.objects.get().total == 4
    assert list(proof.discrepancies()) == []


@pytest.mark.parametrize(
    "columns",
    [
        *({"units_consumed": n} for n in ["NaN", "Infinity", "-Infinity", 0, -1, 10**12]),
        *({"price_per_unit": n} for n in ["NaN", "Infinity", -1, "-0.000001", 10**12]),
        *({name: "0.0000001"} for name in ["units_consumed", "price_per_unit"]),
        *({"service": text} for text in ["", " s", "s ", "\ts", "Cafe\u0301", "x" * 201]),
        *({name: None} for name in ["customer_id", "service", "units_consumed", "recorded_at"]),
        {"idempotency_key": ""},
        {"period": "2020-01-01"},
        {"period": "2099-01-01"},
        {"period": "2026-11-02"},
    ],
)
def test_what_no_record_can_be_is_refused(columns):
    with pytest.raises(DatabaseError), transaction.atomic():
        insert(**columns)
    assert not UsageRecord.objects.exists()
    assert not Bill.objects.exists()


def test_the_same_key_twice_is_refused_and_adds_nothing():
    insert(owner="t", idempotency_key="k")
    with pytest.raises(IntegrityError, match="usage_record_key_unique"), transaction.atomic():
        insert(owner="t", idempotency_key="k")
    run(
        "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit, owner,"
        " idempotency_key) VALUES (123, 's', 5, 5, 't', 'k') ON CONFLICT DO NOTHING"
    )
    assert Bill.objects.get().total == 1


def test_an_unknown_customer_is_refused():
    with pytest.raises(IntegrityError, match="fk_customer_id"), transaction.atomic():
        at_once_checked(
            "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit)"
            " VALUES (999, 's', 1, 1)"
        )


def test_a_customer_with_a_bill_is_never_deleted():
    insert()
    with pytest.raises(IntegrityError), transaction.atomic():
        at_once_checked("DELETE FROM customer WHERE id = %s", ALICE)


@pytest.mark.parametrize(
    "change",
    [
        *(
            partial(run, f"{verb} {table}{rest}")
            for table in [
                "usage_record",
                "usage_bill",
                "usage_billline",
                "usage_foldedbill",
                "usage_foldedline",
            ]
            for verb, rest in [("DELETE FROM", ""), ("TRUNCATE", " CASCADE")]
        ),
        partial(run, "UPDATE usage_foldedbill SET total = 0"),
        partial(run, "UPDATE usage_foldedline SET amount = 0"),
        partial(run, "UPDATE usage_foldedbill SET folded_to = 0"),
        partial(run, "UPDATE usage_record SET turn = turn + 1"),
        partial(insert, turn=1),
        partial(run, "UPDATE usage_record SET units_consumed = 2"),
        *(
            partial(run, f"UPDATE usage_record SET {change}")
            for change in [
                "recorded_at = recorded_at + interval '1 second'",
                "recorded_at = now() - interval '1 day'",
                "period = '2020-01-01'",
                "owner = 'other'",
                "fingerprint = 'x'",
                "reason = 'x'",
                "created_at = '2020-01-01'",
                "customer_id = 456",
                "id = 77",
            ]
        ),
        partial(run, "UPDATE usage_bill SET total = 0"),
        partial(run, "UPDATE usage_billline SET amount = 0"),
        partial(run, "INSERT INTO usage_bill (customer_id, period, total) VALUES (789, now(), 1)"),
        partial(run, "TRUNCATE customer CASCADE"),
        lambda: UsageRecord.objects.update(reason="edited"),
        lambda: Bill.objects.update(total=0),
    ],
)
def test_what_was_recorded_and_billed_is_never_changed(change):
    insert()
    folding.fold()
    insert()
    before = list(UsageRecord.objects.values()), list(Bill.objects.values())
    with pytest.raises(DatabaseError), transaction.atomic():
        change()
    assert (list(UsageRecord.objects.values()), list(Bill.objects.values())) == before


def test_nothing_reaches_a_closed_bill():
    insert(recorded_at="2026-05-05")
    services.close_months(period=Bill.objects.get().period, now=timezone.now(), by="")
    with pytest.raises(DatabaseError, match="cannot go on the bill"), transaction.atomic():
        insert(recorded_at="2026-05-05", period="2026-05-01")
    insert(recorded_at="2026-05-05")
    assert Bill.objects.get(period="2026-05-01").total == 1


def insert_together(*moments):
    """On the bill of June, in one statement."""
    rows = ", ".join(f"(123, 's', 1, 1, '{moment}', '2026-06-01')" for moment in moments)
    run(
        "INSERT INTO usage_record"
        " (customer_id, service, units_consumed, price_per_unit, recorded_at, period)"
        f" VALUES {rows}"
    )


@pytest.mark.parametrize("month", ["2026-05", "2026-07"])
def test_one_record_of_an_open_month_spoils_the_bill_of_another(month):
    with pytest.raises(DatabaseError, match=f"Usage of {month}-01 cannot go on the bill of 2026"):
        insert_together("2026-06-15", f"{month}-10", "2026-06-15")


def test_usage_of_a_closed_month_may_come_with_that_of_another():
    services.close_months(period=date(2026, 4, 1), now=timezone.now(), by="")
    insert_together("2026-06-15", "2026-04-10", "2026-06-15")
    assert Bill.objects.get().total == 3


@pytest.mark.parametrize(
    "columns",
    [
        {"units_consumed": -1, "service": "other"},
        {"units_consumed": -2},
        {"units_consumed": 1},
        {"units_consumed": -1, "price_per_unit": 2},
        {"units_consumed": -1, "customer_id": BOB},
        {"units_consumed": -1, "corrects_id": -5},
    ],
)
def test_a_correction_takes_back_exactly_what_it_names(columns):
    insert()
    columns = {"corrects_id": UsageRecord.objects.get().pk, **columns}
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(**columns)


def test_a_correction_by_sql_counts_and_is_the_only_one():
    insert()
    first = UsageRecord.objects.get().pk
    insert(units_consumed=-1, corrects_id=first)
    assert Bill.objects.get().total == 0
    assert BillLine.objects.get().records == 2
    with pytest.raises(IntegrityError, match="corrected_once"), transaction.atomic():
        insert(units_consumed=-1, corrects_id=first)
    second = UsageRecord.objects.get(corrects=first).pk
    with pytest.raises(IntegrityError, match="takes back"), transaction.atomic():
        insert(units_consumed=1, corrects_id=second)


def test_when_the_bill_cannot_be_written_the_record_is_not_either():
    run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'no'; END$$;"
        "CREATE TRIGGER fail BEFORE INSERT ON usage_foldedbill FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    usage = Usage("k", ALICE, "s", "1", "1", None)
    now = timezone.now()
    for record in [
        lambda: metering.record_usage(owner="t", usage=usage, now=now),
        lambda: batches.record_many(owner="t", batch=[usage], now=now),
    ]:
        with pytest.raises(DatabaseError), transaction.atomic():
            record()
    assert not UsageRecord.objects.exists()
    assert not Bill.objects.exists()
    run("DROP TRIGGER fail ON usage_foldedbill")
    assert not metering.record_usage(owner="t", usage=usage, now=now).is_replay


def test_customers_get_ids_past_those_that_came_by_sql():
    run("SELECT setval(pg_get_serial_sequence('customer', 'id'), 122)")
    assert services.create_customer(name="Dora").pk == TAYLOR + 1
    run("INSERT INTO customer (name) VALUES ('Emil')")
    assert Customer.objects.get(name="Emil").pk == TAYLOR + 2


def usage_of(key):
    return Usage(key, ALICE, "s", "1", "1", None)


@pytest.mark.parametrize("highest", [None, 2**63 - 1])
def test_records_get_ids_past_those_that_came_by_sql(highest):
    now = timezone.now()

    def taken():
        first = metering.fetch("SELECT nextval('usage_record_id_seq')", {})[0][0]
        for id in range(first + 1, first + 6):
            insert(id=id)
        return first + 5

    if highest:
        insert(id=highest)
    theirs = taken()
    recorded = metering.record_usage(owner="t", usage=usage_of("one"), now=now)
    assert theirs < recorded.id < theirs + 10
    taken()
    batch = [usage_of(f"k{n}") for n in range(3)]
    verdicts = batches.record_many(owner="t", batch=batch, now=now)
    assert [verdict.status for verdict in verdicts] == ["created"] * 3
    taken()
    corrections.correct_record(id=recorded.id, owner="t", key="back", reason="", now=now)
    assert list(proof.discrepancies()) == []
