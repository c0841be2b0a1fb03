"""`POST /usage/` with a batch: a verdict for each, and none harms another."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from usage.batches import RECORDS_PER_FOLD
from usage.models import UsageRecord
from usage.tests.conftest import ALICE, BOB, URL, next_id_is, statements, usage


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(True, marks=pytest.mark.django_db, id="in a transaction"),
        pytest.param(False, marks=pytest.mark.django_db(transaction=True), id="by itself"),
    ],
)
def is_in_a_transaction(request):
    """Where it is, nothing is copied."""
    return request.param


def keyed(key, **body):
    return usage(idempotencyKey=key, **body)


def statuses(response):
    assert response.status_code == 200, response.json()
    return [result["status"] for result in response.json()["results"]]


def post_text(client, text):
    return client.generic("POST", URL, text, "application/json")


def test_a_record_from_the_future_is_refused_alone(send):
    soon, later = (timezone.now() + timedelta(minutes=each) for each in (4, 6))
    response = send(
        keyed("k1", recordedAt=later.isoformat()), keyed("k2", recordedAt=soon.isoformat())
    )
    assert statuses(response) == ["invalid", "created"]
    [refused, _] = response.json()["results"]
    assert [fault["code"] for fault in refused["errors"]] == ["in-the-future"]


def test_every_record_gets_its_verdict_in_order(send, record, bills):
    record("old")
    response = send(
        keyed("k9"),
        keyed("old"),
        keyed("old", unitsConsumed=1),
        keyed("k2", unitsConsumed=0),
        keyed("k3", customerId=999),
        keyed("k1", customerId=BOB, pricePerUnit="1"),
    )
    results = response.json()["results"]
    stored = {r.idempotency_key: r.pk for r in UsageRecord.objects.all()}
    assert set(stored) == {"old", "k9", "k1"}
    assert results[0] == {"idempotencyKey": "k9", "status": "created", "id": stored["k9"]}
    assert results[1] == {"idempotencyKey": "old", "status": "replayed", "id": stored["old"]}
    assert results[5] == {"idempotencyKey": "k1", "status": "created", "id": stored["k1"]}
    assert [r["status"] for r in results[2:5]] == ["conflict", "invalid", "unknown_customer"]
    assert [r["idempotencyKey"] for r in results[2:5]] == ["old", "k2", "k3"]
    pointers = [[fault["pointer"] for fault in r["errors"]] for r in results[2:5]]
    assert pointers == [["/idempotencyKey"], ["/unitsConsumed"], ["/customerId"]]
    assert bills(ALICE)[0]["total"] == "5.80"
    assert bills(BOB)[0]["total"] == "58.00"


def test_the_same_batch_again_is_replayed_whole(send):
    batch = [keyed(f"k{n}") for n in range(20)]
    first = send(*batch)
    again = send(*reversed(batch))
    assert statuses(first) == ["created"] * 20
    assert statuses(again) == ["replayed"] * 20
    ids = {r["idempotencyKey"]: r["id"] for r in first.json()["results"]}
    assert ids == {r["idempotencyKey"]: r["id"] for r in again.json()["results"]}
    assert UsageRecord.objects.count() == 20


def test_a_batch_that_was_written_in_part_by_others_adds_what_is_missing(send, bills):
    send(keyed("k1"), keyed("k3"))
    assert statuses(send(*(keyed(f"k{n}") for n in range(1, 5)))) == [
        "replayed",
        "created",
        "replayed",
        "created",
    ]
    assert bills(ALICE)[0]["total"] == "11.60"


def test_of_one_key_twice_the_first_wins(send):
    response = send(keyed("k1"), keyed("k1", unitsConsumed=1), keyed("k1", pricePerUnit="0.050"))
    assert statuses(response) == ["created", "conflict", "replayed"]
    assert UsageRecord.objects.get().units_consumed == 58


def test_the_first_of_one_key_that_can_be_recorded_wins(send):
    response = send(
        keyed("k1", unitsConsumed=-1),
        keyed("k1", customerId=999),
        keyed("k1"),
        keyed("k1", customerId=998),
        keyed("k1"),
    )
    assert statuses(response) == ["invalid", "unknown_customer", "created", "conflict", "replayed"]


def test_a_used_key_for_an_unknown_customer_is_a_conflict(send, record):
    record("k1")
    assert statuses(send(keyed("k1", customerId=999))) == ["conflict"]
    assert record("k1", customerId=999).status_code == 422


@pytest.mark.parametrize(
    "spoilt",
    [
        '"service": "\\u0000"',
        '"service": "\\ud800"',
        '"service": "a", "service": "a"',
        '"unitsConsumed": 1e999',
        f'"unitsConsumed": {"9" * 500}',
        '"\\ud800": 1',
        '"x": {"y": ["\\u0000"]}',
        '"x": 1',
        '"customerId": true',
        '"unitsConsumed": "NaN"',
    ],
)
def test_one_bad_record_harms_no_other(team, spoilt):
    good = json.dumps(keyed("good"))
    bad = (
        '{"customerId": 123, "service": "s", "unitsConsumed": 1, "pricePerUnit": 1,'
        f' "idempotencyKey": "bad", {spoilt}}}'
    )
    # A field that is there twice would hide what is tried.
    name = spoilt.split(":")[0]
    bad = bad.replace(f"{name}: 1,", "", 1).replace(f'{name}: "s",', "", 1)
    bad = bad.replace(f"{name}: 123,", "", 1)
    response = post_text(team, f'{{"records": [{bad}, {good}]}}')
    results = response.json()["results"]
    assert [r["status"] for r in results] == ["invalid", "created"]
    assert results[0]["idempotencyKey"] == "bad"
    assert results[0]["errors"]
    assert "id" not in results[0]


@pytest.mark.parametrize("item", [None, 5, "text", [], {}, [keyed("k1")], True])
def test_what_is_not_a_record_is_invalid(send, item):
    response = send(item, keyed("good"))
    assert statuses(response) == ["invalid", "created"]
    assert response.json()["results"][0]["idempotencyKey"] is None


@pytest.mark.parametrize("key", [None, "", "a b", "ü", "x" * 201, 5])
def test_a_record_of_a_batch_needs_a_key_of_its_own(send, key):
    response = send(usage(), keyed(key), keyed("good"))
    assert statuses(response) == ["invalid", "invalid", "created"]
    for result in response.json()["results"][:2]:
        assert result["idempotencyKey"] is None
        assert result["errors"][0]["pointer"] == "/idempotencyKey"


def test_a_header_key_says_nothing_about_a_batch(team):
    body = {"records": [keyed("k1"), usage()]}
    response = team.post(URL, body, format="json", headers={"Idempotency-Key": "k2"})
    assert statuses(response) == ["created", "invalid"]
    assert UsageRecord.objects.get().idempotency_key == "k1"


@pytest.mark.parametrize("text", ['{"records": [{"a": NaN}]}', '{"records": [1, ]}', '{"records":'])
def test_what_does_not_parse_refuses_the_whole_batch(team, text):
    response = post_text(team, text)
    assert response.status_code == 400
    assert response.json()["type"] == "urn:problem:malformed-json"


@pytest.mark.parametrize(
    "body",
    [
        {"records": []},
        {"records": None},
        {"records": {}},
        {"records": "text"},
        {"records": [keyed("k1")], "x": 1},
        {"records": [keyed("k1")], **usage()},
    ],
)
def test_what_is_not_a_batch_is_refused_whole(team, body):
    response = team.post(URL, body, format="json")
    assert response.status_code == 400
    assert response.json()["errors"]
    assert not UsageRecord.objects.exists()


def test_what_is_wrong_around_the_records_refuses_the_whole_batch(team):
    good = json.dumps(keyed("k1"))
    for text in [
        f'{{"records": [{good}], "records": [{good}]}}',
        f'{{"records": [{good}], "\\ud800": 1}}',
    ]:
        assert post_text(team, text).status_code == 400
    assert not UsageRecord.objects.exists()


def test_a_batch_has_at_most_a_thousand(send):
    assert statuses(send(*(keyed(f"k{n}") for n in range(1000)))) == ["created"] * 1000
    response = send(*(keyed(f"k{n}") for n in range(1001)))
    assert response.status_code == 413
    assert UsageRecord.objects.count() == 1000


def test_text_arrives_as_it_was_sent(send, bills):
    names = ["a\tb", "a\nb", "a\\nb", "\\N", "a\rb", "\\.", 'q"q', "ğüş🎁", "'; DROP", "%s {x}"]
    keys = ["\\N", "\\.", "a\\tb", '"', "'", "%s", "{}", "\\", "k", "~"]
    batch = [keyed(key, service=name) for key, name in zip(keys, names, strict=True)]
    assert statuses(send(*batch)) == ["created"] * 10
    assert statuses(send(*batch)) == ["replayed"] * 10
    assert {line["service"] for line in bills(ALICE)[0]["lines"]} == set(names)


# Two that compose, of a script that Unicode had in 2024; U+FFFF is no character and stays.
@pytest.mark.parametrize("text", ["\U0001611e\U0001611e", "\uffff", "a\U0001611e\U0001611e\u0301"])
def test_characters_newer_than_this_python_are_what_the_database_takes_them_for(
    send, record, bills, text
):
    assert statuses(send(keyed("k1", service=text), keyed("k2"))) == ["created", "created"]
    assert record("k1", service=text).status_code == 200
    [stored] = UsageRecord.objects.filter(idempotency_key="k1").values_list("service", flat=True)
    assert record("k3", service=stored).json()["service"] == stored


def test_a_batch_and_its_records_singly_are_the_same(send, record):
    send(keyed("k1", recordedAt="2026-05-31T23:30:00-01:00", unitsConsumed="1.50"))
    single = record("k1", recordedAt="2026-06-01T00:30:00Z", unitsConsumed=1.5)
    assert single.status_code == 200
    assert single.json()["bill"]["period"] == "2026-06"
    record("k2", unitsConsumed=3)
    assert statuses(send(keyed("k2", unitsConsumed="3.0"))) == ["replayed"]


EXTREMES: list[dict[str, Any]] = [
    {"unitsConsumed": "999999999999.999999", "pricePerUnit": "999999999999.999999"},
    {"unitsConsumed": "0.000001", "pricePerUnit": 0},
    {"unitsConsumed": "10000.00010000", "pricePerUnit": "1e4"},
    {"customerId": BOB, "service": "ğ" * 200},
    {"recordedAt": "0001-01-01T00:00:00Z"},
    {"recordedAt": "1999-12-31T23:59:59.999999Z"},
    {"recordedAt": "2000-02-29T23:30:00.000001-01:00"},
]


def test_a_batch_writes_the_same_columns_as_its_records_singly(send, record):
    def columns(keys):
        own = {"pk", "id", "idempotency_key", "turn", "created_at"}
        names = [field.name for field in UsageRecord._meta.fields if field.name not in own]
        found = UsageRecord.objects.filter(idempotency_key__in=keys)
        return list(found.order_by("idempotency_key").values(*names))

    bodies = [{"recordedAt": "2026-05-31T23:00:00Z", **each} for each in EXTREMES]
    together, singly = ([f"{way}{n}" for n in range(len(bodies))] for way in "ab")
    batch = [keyed(key, **body) for key, body in zip(together, bodies, strict=True)]
    assert statuses(send(*batch)) == ["created"] * len(bodies)
    for key, body in zip(singly, bodies, strict=True):
        assert record(key, **body).status_code == 201
    assert columns(together) == columns(singly)


def test_all_moments_of_a_call_are_one(send):
    send(keyed("k1"), keyed("k2"))
    records = list(UsageRecord.objects.all())
    assert len({record.created_at for record in records}) == 1
    assert all(record.created_at == record.recorded_at for record in records)


def test_ids_need_not_be_consecutive(send):
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE usage_record_id_seq INCREMENT 3")
        try:
            results = send(*(keyed(f"k{n}") for n in range(5))).json()["results"]
        finally:
            cursor.execute("ALTER SEQUENCE usage_record_id_seq INCREMENT 1")
    ids = {record.idempotency_key: record.pk for record in UsageRecord.objects.all()}
    assert {result["idempotencyKey"]: result["id"] for result in results} == ids
    assert sorted(ids.values()) == list(range(min(ids.values()), max(ids.values()) + 1, 3))


def test_the_team_of_the_batch_owns_its_keys(send, service_of):
    send(keyed("k1"))
    other = service_of("network", "usage.write")
    assert statuses(send(keyed("k1", unitsConsumed=1), client=other)) == ["created"]


def test_a_batch_costs_the_same_statements_whatever_its_size(send, is_in_a_transaction):
    next_id_is(10 * RECORDS_PER_FOLD)
    for size in (2, 200):
        batch = [keyed(f"{size}-{n}") for n in range(size)]
        # A look ahead and a COPY. A replay then asks for the customers, inserts what is missing
        # and looks the others up; so does a transaction, with a savepoint.
        assert statements(partial(send, *batch)) == (4 if is_in_a_transaction else 2)
        assert statements(partial(send, *batch)) == 5


def test_a_batch_needs_the_scope_to_write(send, reader, customers):
    assert send(keyed("k1"), client=reader).status_code == 403
