"""`manage.py verify_bills` against every way to tamper that a superuser has."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from common.tests.races import at_once
from usage import corrections, folding, metering, proof
from usage.reading import Usage
from usage.tests.conftest import ALICE, BOB

pytestmark = pytest.mark.django_db
MAY = datetime(2026, 5, 5, tzinfo=UTC)
BILL = f"bill of customer {ALICE} for 2026-05: "


@pytest.fixture(autouse=True)
def bills_of_two(customers):
    now = timezone.now()
    for number, customer in enumerate([ALICE, ALICE, BOB]):
        usage = Usage(f"k{number}", customer, f"s{number % 2}", "1.5", "0.1", MAY)
        metering.record_usage(owner="t", usage=usage, now=now)
    usage = Usage("k9", ALICE, "s0", "1.5", "0.1", None)
    record = metering.record_usage(owner="t", usage=usage, now=now)
    corrections.correct_record(id=record.id, owner="t", key="c", reason="r", now=now)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    # A part of what they owe is folded, a part was added since.
    folding.fold()
    for number, customer in enumerate([ALICE, BOB]):
        usage = Usage(f"k2{number}", customer, "s1", "2.5", "0.1", MAY)
        metering.record_usage(owner="t", usage=usage, now=now)


def tamper(sql):
    with connection.cursor() as cursor:
        tables = ("usage_record", "usage_foldedbill", "usage_foldedline")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def complaints(capsys):
    with pytest.raises(CommandError) as refused:
        call_command("verify_bills")
    assert refused.value.returncode == 1
    return capsys.readouterr().err.splitlines()


def test_it_is_content_with_what_was_recorded(capsys):
    call_command("verify_bills")
    printed = capsys.readouterr()
    assert "Every total" in printed.out
    assert not printed.err


HERS = "(SELECT id FROM usage_bill WHERE customer_id = 123 AND period = '2026-05-01')"
FIRST = "idempotency_key = 'k0'"


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param(f"UPDATE usage_foldedbill SET total = 1 WHERE id = {HERS}", id="total"),
        pytest.param(
            f"UPDATE usage_foldedline SET amount = 1 WHERE bill_id = {HERS} AND service = 's0'",
            id="line amount",
        ),
        pytest.param(
            f"UPDATE usage_foldedline SET records = 2 WHERE bill_id = {HERS} AND service = 's0'",
            id="line count",
        ),
        pytest.param(
            f"UPDATE usage_foldedline SET units_consumed = 2 WHERE bill_id = {HERS}",
            id="line units",
        ),
        pytest.param(
            f"UPDATE usage_foldedline SET service = 'x' WHERE bill_id = {HERS} AND service = 's0'",
            id="line renamed",
        ),
        pytest.param(
            f"DELETE FROM usage_foldedline WHERE bill_id = {HERS} AND service = 's0'",
            id="line gone",
        ),
        pytest.param(f"DELETE FROM usage_foldedline WHERE bill_id = {HERS}", id="all lines gone"),
        pytest.param(f"UPDATE usage_foldedbill SET folded_to = 0 WHERE id = {HERS}", id="unfolded"),
        pytest.param(
            f"UPDATE usage_foldedbill SET folded_to = folded_to + 9 WHERE id = {HERS}", id="lost"
        ),
        pytest.param(
            f"UPDATE usage_foldedbill SET under_way = ARRAY[folded_to] WHERE id = {HERS}",
            id="awaited",
        ),
        pytest.param("UPDATE usage_record SET turn = 0 WHERE idempotency_key = 'k20'", id="turn"),
        pytest.param(f"DELETE FROM usage_record WHERE {FIRST}", id="record gone"),
        pytest.param(
            "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit,"
            " recorded_at, period, turn) VALUES (123, 's0', 1, 1, '2026-05-05', '2026-05-01', 0)",
            id="record added",
        ),
        pytest.param(f"UPDATE usage_record SET units_consumed = 2 WHERE {FIRST}", id="units"),
        pytest.param(f"UPDATE usage_record SET price_per_unit = 2 WHERE {FIRST}", id="price"),
        pytest.param(f"UPDATE usage_record SET service = 'x' WHERE {FIRST}", id="service"),
        pytest.param(
            f"UPDATE usage_record SET recorded_at = '2026-05-06' WHERE {FIRST}", id="moment"
        ),
        pytest.param(
            f"UPDATE usage_record SET recorded_at = '2026-06-05' WHERE {FIRST}", id="later month"
        ),
        pytest.param(
            f"UPDATE usage_record SET units_consumed = 15, price_per_unit = 0.01 WHERE {FIRST};"
            f"UPDATE usage_foldedline SET units_consumed = 15, price_per_unit = 0.01"
            f" WHERE bill_id = {HERS} AND service = 's0'",
            id="all figures made to fit",
        ),
    ],
)
def test_it_names_the_bill_that_was_tampered_with(capsys, sql):
    tamper(sql)
    found = complaints(capsys)
    assert found
    assert [line for line in found if not line.startswith(BILL)] == []


def test_it_finds_a_bill_that_is_gone(capsys):
    tamper(
        f"DELETE FROM usage_foldedline WHERE bill_id = {HERS};"
        "DELETE FROM usage_foldedbill WHERE customer_id = 123 AND period = '2026-05-01'"
    )
    assert all(line.startswith(BILL) for line in complaints(capsys))


def test_it_finds_a_record_moved_to_another_bill(capsys):
    tamper(f"UPDATE usage_record SET customer_id = 456 WHERE {FIRST}")
    found = "\n".join(complaints(capsys))
    assert BILL in found
    assert f"bill of customer {BOB} for 2026-05: " in found


def test_it_finds_an_edited_correction(capsys):
    tamper("UPDATE usage_record SET reason = 'other' WHERE corrects_id IS NOT NULL")
    assert "was edited" in "\n".join(complaints(capsys))


@pytest.mark.django_db(transaction=True)
def test_all_that_it_says_is_of_one_moment():
    tamper(f"UPDATE usage_foldedbill SET total = 1 WHERE id = {HERS}")
    proving = proof.discrepancies()
    first = next(proving)
    later = f"UPDATE usage_record SET recorded_at = '2026-06-05', service = 'x' WHERE {FIRST}"
    assert at_once([lambda: tamper(later)]) == [None]
    assert [first, *proving] == [f"{BILL}total 1.25, its lines add up to 0.55"]
    assert len(list(proof.discrepancies())) > 1
