"""`POST /usage/{id}/corrections/`: a record taken back, once, by the team that wrote it."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from usage import corrections, services
from usage.models import Bill, UsageRecord
from usage.tests.conftest import ALICE, URL

pytestmark = pytest.mark.django_db


@pytest.fixture
def correct(team):
    def correct(id, key="c1", client=team, **body):
        headers = {"Idempotency-Key": key} if key else {}
        return client.post(f"{URL}{id}/corrections/", body, format="json", headers=headers)

    return correct


@pytest.fixture
def first(record):
    return record("k1", recordedAt="2026-05-10T00:00:00Z").json()


def test_a_correction_is_a_negative_record_that_names_the_old_one(correct, first):
    response = correct(first["id"], reason="sent for the wrong customer")
    assert response.status_code == 201
    answer = response.json()
    assert answer == {
        **first,
        "id": answer["id"],
        "unitsConsumed": "-58",
        "amount": "-2.90",
        "bill": {**first["bill"], "total": "0.00"},
        "corrects": first["id"],
        "reason": "sent for the wrong customer",
    }
    assert (
        UsageRecord.objects.get(pk=first["id"]).amount
        == -UsageRecord.objects.get(pk=answer["id"]).amount
    )


def test_a_correction_of_a_closed_month_goes_on_the_current_bill(correct, first):
    may = Bill.objects.get().period
    services.close_months(period=may, now=timezone.now(), by="")
    answer = correct(first["id"]).json()
    assert answer["lateFor"] == "2026-05"
    assert answer["bill"]["total"] == "-2.90"
    assert str(Bill.objects.get(period=may).total) == "2.90"


def test_the_same_again_is_a_replay(correct, first):
    once = correct(first["id"], reason="wrong")
    again = correct(first["id"], reason="wrong")
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == once.json()
    assert UsageRecord.objects.count() == 2


def test_a_record_is_taken_back_once(correct, first):
    made = correct(first["id"]).json()
    response = correct(first["id"], "c2")
    assert response.status_code == 409
    assert response.json()["type"] == "urn:problem:already-corrected"
    assert response.json()["correctionId"] == made["id"]
    assert UsageRecord.objects.count() == 2


def test_a_correction_is_not_taken_back(correct, first):
    made = correct(first["id"]).json()
    response = correct(made["id"], "c2")
    assert (response.status_code, response.json()["type"]) == (409, "urn:problem:not-correctable")


def test_records_and_corrections_share_their_keys(correct, first, record):
    assert correct(first["id"], "k1").status_code == 422
    correct(first["id"], "c1")
    assert record("c1").status_code == 422
    assert correct(first["id"], "c1", reason="another").status_code == 422
    assert record("k1", recordedAt="2026-05-10T00:00:00Z").status_code == 200


def test_nobody_takes_back_what_another_team_wrote(correct, first, service_of):
    other = service_of("network", "usage.write")
    theirs, nobodys = correct(first["id"], client=other), correct(first["id"] + 1000)
    assert theirs.status_code == nobodys.status_code == 404
    bodies = [{**r.json(), "request_id": ""} for r in (theirs, nobodys)]
    assert bodies[0] == bodies[1]
    assert UsageRecord.objects.count() == 1


def test_staff_may_take_any_back(first):
    now = datetime.now(UTC)
    made = corrections.correct_record(
        id=first["id"], owner=corrections.STAFF, key="c", reason="credit", now=now
    )
    assert made.amount == -UsageRecord.objects.get(pk=first["id"]).amount


@pytest.mark.parametrize("id", [str(2**63 - 1), str(2**63), "9" * 100, "0", "abc", "-1"])
def test_what_is_not_there_is_not_found(correct, customers, id):
    assert correct(id).status_code == 404


@pytest.mark.parametrize("body", [{"reason": 5}, {"reason": "x" * 501}, {"x": 1}])
def test_bad_input_is_refused(correct, first, body):
    response = correct(first["id"], **body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"/{next(iter(body))}"


def test_a_correction_needs_a_key_and_the_scope(correct, first, reader):
    assert correct(first["id"], None).status_code == 400
    assert correct(first["id"], None, idempotencyKey="c1").status_code == 201
    assert correct(first["id"], client=reader).status_code == 403


def test_the_line_keeps_both_records(correct, first, bills):
    correct(first["id"])
    [line] = bills(ALICE)[0]["lines"]
    assert (line["unitsConsumed"], line["amount"], line["records"]) == ("0", "0.00", 2)
