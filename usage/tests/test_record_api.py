"""`POST /usage/` with one record."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from usage.models import Bill, UsageRecord
from usage.tests.conftest import ALICE, BOB, SAMPLE, URL, statements, usage

pytestmark = pytest.mark.django_db


def nothing_was_written():
    return not UsageRecord.objects.exists() and not Bill.objects.exists()


def month_of(moment):
    return f"{moment:%Y-%m}"


def post_text(client, text, key="k1", media="application/json"):
    headers = {"Idempotency-Key": key} if key else {}
    return client.generic("POST", URL, text, media, headers=headers)


def test_a_record_answers_with_itself_and_its_bill(record):
    response = record("k1", recordedAt="2026-05-31T23:59:59.999999+00:00")
    found, bill = UsageRecord.objects.get(), Bill.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "id": found.pk,
        "customerId": ALICE,
        "service": "Database Hosting",
        "unitsConsumed": "58",
        "pricePerUnit": "0.05",
        "amount": "2.90",
        "recordedAt": "2026-05-31T23:59:59.999999Z",
        "lateFor": None,
        "bill": {"id": bill.pk, "period": "2026-05", "total": "2.90", "currency": "USD"},
    }
    assert "Idempotent-Replayed" not in response
    assert (found.owner, found.idempotency_key) == ("hosting", "k1")


def test_the_samples_of_the_brief_make_the_bills_of_the_brief(record, bills):
    for number, (customer, service, units, price) in enumerate(SAMPLE):
        body = {"customerId": customer, "service": service}
        body |= {"unitsConsumed": json.loads(units), "pricePerUnit": json.loads(price)}
        assert record(f"k{number}", **body).status_code == 201
    assert bills(ALICE)[0]["total"] == "9.50"
    assert bills(BOB)[0]["total"] == "15.80"
    assert bills(789) == []


def test_without_a_time_it_was_used_now(record):
    before = timezone.now()
    answer = record("k1").json()
    moment = datetime.fromisoformat(answer["recordedAt"])
    assert before <= moment <= timezone.now()
    assert answer["bill"]["period"] == month_of(moment)


@pytest.mark.parametrize(
    ("given", "moment", "period"),
    [
        ("2026-05-31T23:59:59.999Z", "2026-05-31T23:59:59.999000Z", "2026-05"),
        ("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06"),
        ("2026-06-01T01:30:00+02:00", "2026-05-31T23:30:00Z", "2026-05"),
        ("2026-05-31T20:00:00-05:00", "2026-06-01T01:00:00Z", "2026-06"),
        ("2026-05-31T23:59:59", "2026-05-31T23:59:59Z", "2026-05"),
        ("2024-02-29 12:00", "2024-02-29T12:00:00Z", "2024-02"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01"),
    ],
)
def test_a_record_is_on_the_bill_of_its_month_in_utc(record, given, moment, period):
    answer = record("k1", recordedAt=given).json()
    assert answer["recordedAt"] == moment
    assert answer["bill"]["period"] == period
    assert answer["lateFor"] is None


def test_five_minutes_ahead_is_as_far_as_a_clock_may_be_wrong(record):
    ahead = timezone.now() + timedelta(minutes=4, seconds=50)
    assert record("k1", recordedAt=ahead.isoformat()).status_code == 201
    response = record("k2", recordedAt=(ahead + timedelta(seconds=20)).isoformat())
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/recordedAt"


# Decimals


@pytest.mark.parametrize(
    ("units", "price", "amount"),
    [
        ("58", "0.05", "2.90"),
        ("27", "0.03", "0.81"),
        ("1", "14.99", "14.99"),
        ("27.3", "0.1", "2.73"),
        ("1e3", "1E-6", "0.001"),
        ("0.000001", "0.000001", "0.000000000001"),
        ("999999999999.999999", "999999999999.999999", "999999999999999998000000.000000000001"),
        ("5.0000000000", "0", "0.00"),
        ("5", "-0.0", "0.00"),
        ("5", "0e999", "0.00"),
        ("1.5000000e1", "10", "150.00"),
    ],
)
@pytest.mark.parametrize("is_text", [True, False], ids=["text", "number"])
def test_amounts_are_exact(team, units, price, amount, is_text):
    if is_text:
        units, price = f'"{units}"', f'"{price}"'
    if "e999" in price and not is_text:
        price = "0e308"
    body = json.dumps(usage(unitsConsumed="U", pricePerUnit="P"))
    response = post_text(team, body.replace('"U"', units).replace('"P"', price))
    assert response.status_code == 201, response.json()
    assert response.json()["amount"] == response.json()["bill"]["total"] == amount
    assert UsageRecord.objects.get().amount == Decimal(amount)


BAD_NUMBERS = [
    *("true", "null", "[]", "{}", '""', '"abc"', '"NaN"', '"Infinity"', '"-Infinity"', '"nan"'),
    *('"+5"', '" 5 "', '"5 "', '".5"', '"5."', '"１"', '"٥"', '"1_000"', '"1,5"', '"0x10"'),
    *('"007"', '"1e"', '"e5"', '"1e99999999999999999999"', '"1e9999"', '"--5"', '"5\\n"'),
    *("1000000000000", "1e12", "1e400", "9" * 400, '"1000000000000"', f'"{"9" * 500}"'),
    *("0.0000001", '"0.0000001"', "1e-7", "1e-400", "1.0000001", '"1e-9999"', "-1", '"-1"'),
    *("-0.000001", "-1e-400"),
]


@pytest.mark.parametrize("field", ["unitsConsumed", "pricePerUnit"])
@pytest.mark.parametrize("number", BAD_NUMBERS)
def test_what_no_column_holds_exactly_is_refused_and_never_rounded(team, field, number):
    body = json.dumps(usage(**{field: "?"})).replace('"?"', number)
    response = post_text(team, body)
    assert response.status_code == 400
    assert [fault["pointer"] for fault in response.json()["errors"]] == [f"/{field}"]
    assert nothing_was_written()


@pytest.mark.parametrize("number", ["0", "0.0", '"0"', "-0", "0e5"])
def test_nothing_consumed_is_not_usage(team, number):
    body = json.dumps(usage(unitsConsumed="?")).replace('"?"', number)
    assert post_text(team, body).json()["errors"][0]["code"] == "not-positive"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "+5", ".5", "05", "1_0"])
def test_what_is_not_json_is_refused_with_its_place(team, literal):
    body = json.dumps(usage(unitsConsumed="?")).replace('"?"', literal)
    problem = post_text(team, body).json()
    assert (problem["status"], problem["type"]) == (400, "urn:problem:malformed-json")
    assert (problem["line"], problem["column"]) > (0, 0)
    assert nothing_was_written()


# The other fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("customerId", value) for value in [0, -1, 1.5, 123.0, "123", True, None, [], 2**63]),
        *(("customerId", value) for value in [10**30, {}]),
        *(("service", value) for value in ["", "  \n ", "x" * 201, None, 5, ["x"], "a\x00b"]),
        *(("recordedAt", value) for value in ["", "yesterday", "2026-13-01T00:00:00Z", 5, None]),
        *(("recordedAt", value) for value in ["2026-01-01", "２026-01-01T00:00:00Z", True]),
        *(("recordedAt", value) for value in ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]),
        *((name, 1) for name in ["amount", "id", "owner", "customer_id", "corrects", "a/b"]),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(record, field, value):
    response = record("k1", **{field: value})
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    pointer = field.replace("/", "~1")
    assert [fault["pointer"] for fault in response.json()["errors"]] == [f"/{pointer}"]
    assert nothing_was_written()


@pytest.mark.parametrize("field", ["customerId", "service", "unitsConsumed", "pricePerUnit"])
def test_a_missing_field_is_named(team, field):
    body = usage()
    del body[field]
    response = post_text(team, json.dumps(body))
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"pointer": f"/{field}", "code": "required", "detail": "This field is required."}
    ]


def test_everything_wrong_is_named_at_once(record):
    response = record(None, customerId=0, service="", unitsConsumed=0, pricePerUnit=-1, x=1)
    pointers = {fault["pointer"] for fault in response.json()["errors"]}
    fields = ["x", "customerId", "service", "unitsConsumed", "pricePerUnit", "idempotencyKey"]
    assert pointers == {f"/{name}" for name in fields}


@pytest.mark.parametrize("body", ["", "[]", "null", '"text"', "5", "{", "{}"])
def test_what_is_not_a_record_is_refused(team, body):
    response = post_text(team, body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("piece", "pointer"),
    [
        ('"service": "a", "service": "a"', "/service"),
        ('"service": "\\ud800"', "/service"),
        ('"service": "\\u0000"', "/service"),
        ('"\\udfff": 1', "/?"),
    ],
)
def test_what_no_text_can_hold_is_refused(team, piece, pointer):
    body = '{"customerId": 123, "unitsConsumed": 1, "pricePerUnit": 1, ' + piece + "}"
    response = post_text(team, body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == pointer
    assert nothing_was_written()


def test_a_service_is_trimmed_and_composed_and_then_compared_exactly(record, bills):
    for number, name in enumerate(["Café", " Cafe\u0301\n", "café", "x" * 200, f" {'x' * 200} "]):
        assert record(f"k{number}", service=name).status_code == 201
    lines = [(line["service"], line["records"]) for line in bills(ALICE)[0]["lines"]]
    assert sorted(lines) == sorted([("Café", 2), ("café", 1), ("x" * 200, 2)])


def test_an_unknown_customer_is_not_found_and_does_not_use_the_key_up(record):
    response = record("k1", customerId=999)
    assert response.status_code == 404
    assert response.json()["type"] == "urn:problem:unknown-customer"
    assert record("k1", customerId=2**63 - 1).status_code == 404
    assert nothing_was_written()
    assert record("k1").status_code == 201


# Keys


def test_the_same_again_is_a_replay_with_the_bill_as_it_is_now(record):
    first = record("k1").json()
    record("k2", unitsConsumed=1, pricePerUnit=1)
    again = record("k1")
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == {**first, "bill": {**first["bill"], "total": "3.90"}}
    assert UsageRecord.objects.count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"unitsConsumed": 59},
        {"pricePerUnit": "0.051"},
        {"service": "database hosting"},
        {"customerId": BOB},
        {"recordedAt": "2026-05-01T00:00:00Z"},
    ],
)
def test_the_same_key_for_something_else_is_refused(record, change):
    record("k1")
    response = record("k1", **change)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:problem:idempotency-key-reused"
    assert UsageRecord.objects.count() == 1


def test_a_time_that_was_given_and_one_that_was_not_are_not_the_same(record):
    record("k1", recordedAt="2026-05-01T00:00:00Z")
    assert record("k1", recordedAt="2026-05-01T02:00:00+02:00").status_code == 200
    assert record("k1").status_code == 422


@pytest.mark.parametrize("price", ["0.05", "0.050", '"0.05"', '"5e-2"', "5E-2", '"0.0500000000"'])
def test_bodies_are_compared_by_meaning(team, record, price):
    first = record("k1").json()
    text = (
        f'{{ "pricePerUnit":{price}, "unitsConsumed": 58.0,\n"service": " D\\u0061tabase Hosting",'
        ' "customerId":123}'
    )
    again = post_text(team, text, media="application/json; charset=utf-8")
    assert (again.status_code, again.json()) == (200, first)


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [("k1", None, 201), (None, "k1", 201), ("k1", "k1", 201), ("k1", "k2", 400), (None, None, 400)],
)
def test_the_key_comes_in_the_header_or_in_the_body(record, header, body, status):
    response = record(header, **({} if body is None else {"idempotencyKey": body}))
    assert response.status_code == status
    if status == 400:
        assert response.json()["errors"][0]["pointer"] == "/idempotencyKey"
    else:
        assert UsageRecord.objects.get().idempotency_key == "k1"


def test_a_key_is_the_same_in_either_place(record):
    record("k1")
    assert record(None, idempotencyKey="k1").status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ü", "tab\there", "\x7f"])
def test_a_key_is_1_to_200_visible_ascii_characters(record, key):
    assert record(key).status_code == 400
    response = record(None, idempotencyKey=key)
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/idempotencyKey"
    assert nothing_was_written()


@pytest.mark.parametrize("key", [None, 5, True, ["k"], {}])
def test_a_key_in_the_body_is_text(record, key):
    assert record(None, idempotencyKey=key).status_code == 400
    assert record("k1", idempotencyKey=key).status_code == 400


def test_keys_are_compared_exactly(record):
    for key in ["k", "K", "k-", "~!@#$%^&*()", '"k"', "x" * 200]:
        assert record(key).status_code == 201


def test_keys_belong_to_the_team_whatever_its_api_key(record, service_of):
    same, other = service_of("hosting", "usage.write"), service_of("network", "usage.write")
    first = record("k1").json()
    assert record("k1", other, unitsConsumed=7).status_code == 201
    replayed = record("k1", same)
    assert replayed.status_code == 200
    assert replayed.json()["id"] == first["id"]


def test_owner_and_key_do_not_run_into_each_other(record, service_of):
    one, other = service_of("a-b", "usage.write"), service_of("a", "usage.write")
    assert record("c", one).status_code == 201
    assert record("b-c", other).status_code == 201


def test_a_rejected_request_does_not_use_its_key_up(record):
    assert record("k1", unitsConsumed=0).status_code == 400
    assert record("k1").status_code == 201


def test_a_record_that_came_by_sql_is_replayed_by_what_it_says(record, customers):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit, owner,"
            " idempotency_key, recorded_at) VALUES (123, 'Database Hosting', 58.0, 0.050,"
            " 'hosting', 'k1', '2026-05-05T00:00Z')"
        )
    assert record("k1").status_code == 200
    assert record("k1", recordedAt="2026-05-05T02:00:00+02:00").status_code == 200
    assert record("k1", recordedAt="2026-05-06T00:00:00Z").status_code == 422
    assert record("k1", unitsConsumed=1).status_code == 422


# Who may, and how


def test_recording_needs_an_api_key_with_the_scope(record, reader, client_of, customers):
    assert record("k1", reader).status_code == 403
    response = record("k1", client_of("5"))
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert nothing_was_written()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_record_cannot_be_changed(team, method):
    response = getattr(team, method)(URL, {}, format="json")
    assert response.status_code == 405
    assert "POST" in response["Allow"]


def test_only_json_is_taken(team):
    response = post_text(team, json.dumps(usage()), media="text/plain")
    assert response.status_code == 415


def test_a_huge_body_is_refused(record):
    assert record("k1", service="x" * 5_300_000).status_code == 413


def test_a_post_without_the_slash_keeps_its_body(team):
    response = team.post(URL.rstrip("/"), usage(), format="json", headers={"Idempotency-Key": "k1"})
    assert response.status_code == 201


def test_a_record_costs_two_statements(record):
    # And the savepoint around the first, in a test's transaction.
    assert statements(lambda: record("k1")) == 4


def test_time_is_told_in_utc(record):
    assert record("k1").json()["recordedAt"].endswith("Z")
    assert UsageRecord.objects.get().recorded_at.tzinfo == UTC
