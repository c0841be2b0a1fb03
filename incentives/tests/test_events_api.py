"""POST /incentives/events/ and DELETE /incentives/events/{id}/."""

import json
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from common.tests.races import at_once
from conftest import ALICE, BOB
from incentives.models import Event, EventType, Waiting
from incentives.tests.conftest import EVENTS

AT = "2026-06-01T12:00:00Z"


def event(**changes):
    said = {"id": "e1", "user_id": ALICE, "type": "health_data_logged", "occurred_at": AT}
    return {**said, **changes}


def body(response):
    return response.status_code, response.json()


def test_an_event_is_stored_and_waits(report):
    assert body(report(event(timezone="Asia/Tokyo", data={"steps": 5}))) == (
        202,
        {"accepted": 1, "duplicates": 0},
    )
    stored = Event.objects.get()
    assert (stored.owner, stored.event_id, stored.user_id) == ("api:tests", "e1", ALICE)
    assert (stored.timezone, stored.data, stored.retracted_at) == ("Asia/Tokyo", {"steps": 5}, None)
    assert Waiting.objects.get().event == stored


def test_the_same_again_is_a_duplicate(report):
    report(event())
    same = event(occurred_at="2026-06-01T14:00:00+02:00", user_id=ALICE.upper(), data={})
    assert body(report(same)) == (202, {"accepted": 0, "duplicates": 1})
    assert Event.objects.count() == Waiting.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": BOB},
        {"type": "birth_reported"},
        {"occurred_at": "2026-06-01T12:00:00.000001Z"},
        {"timezone": "UTC"},
        {"data": {"steps": 1}},
    ],
)
def test_the_same_id_with_another_body_is_refused(report, changes):
    report(event())
    for given in (event(**changes), [event(id="new"), event(**changes)]):
        response = report(given)
        assert response.status_code == 422
        assert response.json()["type"] == "urn:problem:idempotency-key-reused"
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "second"), [({"km": 0.05}, {"km": "0.05"}), ({"km": 5}, {"km": 5.0})]
)
def test_data_are_compared_by_meaning(report, first, second):
    EventType.objects.filter(slug="activity_tracked").update(data_schema={})
    report(event(type="activity_tracked", data=first))
    assert body(report(event(type="activity_tracked", data=second)))[1]["duplicates"] == 1


def test_a_list_tells_new_ones_from_those_seen_before(report):
    report(event())
    many = [event(id=f"e{number}") for number in range(1, 6)] + [event(id="e5")]
    assert body(report(many)) == (202, {"accepted": 4, "duplicates": 2})


def test_a_list_that_contradicts_itself_is_refused(report):
    assert report([event(), event(user_id=BOB)]).status_code == 422
    assert not Event.objects.exists()


def test_a_list_has_1_to_500_events(report):
    many = [event(id=f"e{number}") for number in range(501)]
    assert report([]).status_code == 400
    assert report(many).status_code == 413
    assert body(report(many[:500])) == (202, {"accepted": 500, "duplicates": 0})


def test_one_bad_event_refuses_its_whole_list(report):
    response = report([event(), event(id="e2", timezone="Mars/Base"), event(id="e3", type="x")])
    assert response.status_code == 400
    assert [each["pointer"] for each in response.json()["errors"]] == ["/1/timezone", "/2/type"]
    assert not Event.objects.exists()
    assert report(event()).status_code == 202


@pytest.mark.parametrize("number", ["1e400", "1e309", "-1e999", "1" + "0" * 400])
def test_a_number_beyond_what_readers_of_json_hold_is_refused(app, number):
    text = json.dumps([event(data={"a": ["?"]})]).replace('"?"', number)
    response = app.post(EVENTS, text, content_type="application/json")
    assert response.status_code == 400
    assert [each["pointer"] for each in response.json()["errors"]] == ["/0/data/a/0"]
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"id": "a b"}, "/id"),
        ({"id": "x" * 201}, "/id"),
        ({"id": 7}, "/id"),
        ({"user_id": "0"}, "/user_id"),
        ({"user_id": 42}, "/user_id"),
        ({"user_id": "٤٢"}, "/user_id"),
        ({"type": "unknown"}, "/type"),
        ({"type": ["health_data_logged"]}, "/type"),
        ({"occurred_at": "yesterday"}, "/occurred_at"),
        ({"occurred_at": 1780000000}, "/occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00Z"}, "/occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59Z"}, "/occurred_at"),
        ({"timezone": "america/new_york"}, "/timezone"),
        ({"timezone": "+02:00"}, "/timezone"),
        ({"timezone": ""}, "/timezone"),
        ({"timezone": None}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"data": []}, "/data"),
        ({"data": "x"}, "/data"),
        ({"data": {"text": "x" * 10_000}}, "/data"),
        ({"type": "activity_tracked", "data": {"steps": -1}}, "/data/steps"),
        ({"type": "activity_tracked", "data": {"steps": True}}, "/data/steps"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_bad_input_names_its_place(report, changes, pointer):
    response = report(event(**changes))
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == pointer
    assert not Event.objects.exists()


@pytest.mark.parametrize("given", ["text", 5, None, [5], [[]], {"id": "e1"}])
def test_what_is_no_event_is_refused(report, given):
    assert report(given).status_code == 400


def test_a_clock_may_be_five_minutes_ahead(report):
    ahead = timezone.now() + timedelta(minutes=4, seconds=50)
    assert report(event(occurred_at=ahead.isoformat())).status_code == 202
    late = timezone.now() + timedelta(minutes=5, seconds=10)
    response = report(event(id="e2", occurred_at=late.isoformat()))
    assert response.json()["errors"][0]["code"] == "in-the-future"


def test_a_naive_time_is_utc(report):
    report(event(occurred_at="2026-06-01T12:00:00"))
    assert Event.objects.get().occurred_at.isoformat() == "2026-06-01T12:00:00+00:00"


def test_ids_are_each_owners_own(report, service_of):
    report(event())
    other = service_of("other", "incentives.write")
    assert body(report(event(user_id=BOB), other)) == (202, {"accepted": 1, "duplicates": 0})
    assert other.delete(f"{EVENTS}e1/").status_code == 202
    assert Event.objects.filter(retracted_at=None).get().owner == "api:tests"


def test_a_new_event_type_may_be_reported_at_once(report):
    assert report(event(type="walk")).status_code == 400
    EventType.objects.create(slug="walk", label="a walk")
    assert report(event(type="walk")).status_code == 202


def test_exact_numbers_stay_exact(app):
    numbers = '{"steps": 123456789012345678901234567890, "km": 0.1234567890123456789012345}'
    text = json.dumps(event(type="activity_tracked", data={})).replace("{}", numbers)
    assert app.post(EVENTS, text, content_type="application/json").status_code == 202
    assert Event.objects.get().data == {
        "steps": 123456789012345678901234567890,
        "km": "0.1234567890123456789012345",
    }


def test_only_services_with_the_scope_report(api_client, alice, service_of, report):
    assert api_client.post(EVENTS, event(), format="json").status_code == 401
    assert alice.post(EVENTS, event(), format="json").status_code == 401
    assert report(event(), service_of("x", "incentives.partner")).status_code == 403
    assert service_of("x", "usage.write").delete(f"{EVENTS}e1/").status_code == 403


def test_an_event_is_retracted_again_and_again(report, app):
    report(event(id="a/b%c?d"))
    for _ in range(2):
        response = app.delete(f"{EVENTS}a%2Fb%25c%3Fd/")
        assert body(response) == (202, {"id": "a/b%c?d"})
    assert Event.objects.get().retracted_at is not None
    assert Waiting.objects.filter(event=None).count() == 1


@pytest.mark.parametrize("id", ["unknown", "x" * 201, "%C3%A9", "e1/e2"])
def test_an_unknown_event_cannot_be_retracted(app, id):
    assert app.delete(f"{EVENTS}{id}/").status_code == 404


def test_a_retracted_id_stays_used(report, app):
    report(event())
    app.delete(f"{EVENTS}e1/")
    assert body(report(event())) == (202, {"accepted": 0, "duplicates": 1})
    assert report(event(user_id=BOB)).status_code == 422
    assert Event.objects.get().retracted_at is not None


def test_reporting_takes_one_statement(report, django_assert_num_queries):
    report(event())
    with django_assert_num_queries(1):
        report(event(id="e2"))


def test_reporting_500_takes_as_many_statements_as_reporting_2(report, django_assert_num_queries):
    report(event())
    with django_assert_num_queries(3):  # with the savepoint of a test
        report([event(id=f"e{number}") for number in range(2, 502)])


@pytest.mark.django_db(transaction=True)
def test_of_one_id_at_once_one_is_stored(report, service_of):
    clients = [service_of("tests", "incentives.write") for _ in range(8)]
    answers = at_once([partial(report, event(), each) for each in clients])
    assert sorted(each.json()["accepted"] for each in answers) == [0] * 7 + [1]


@pytest.mark.django_db(transaction=True)
def test_lists_in_any_order_at_once_are_stored_once(report, service_of):
    clients = [service_of("tests", "incentives.write") for _ in range(6)]
    many = [event(id=f"e{number:03}") for number in range(60)]
    orders = [many if number % 2 else many[::-1] for number in range(6)]
    answers = at_once(
        [partial(report, order, client) for client, order in zip(clients, orders, strict=True)]
    )
    assert sum(each.json()["accepted"] for each in answers) == 60
    assert Event.objects.count() == Waiting.objects.count() == 60


@pytest.fixture
def api_client():
    from rest_framework.test import APIClient

    return APIClient()
