"""POST /subscription/{id}/status/."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from clubs.models import AUTOMATIC_RETURN, RemovedChange, StatusChange
from clubs.services import status_at
from clubs.tests.factories import (
    ACTIVE,
    CANCELLED,
    CLOSED,
    DAY,
    PAUSED,
    decide,
    make_club,
    make_subscription,
)
from common.tests.races import at_once

NOT_FOUND = "urn:problem:not-found"


@pytest.fixture
def subscription(db):
    return make_subscription()


def change(client, subscription, status_id, **said):
    headers = said.pop("headers", {})
    path = f"/api/v1/subscription/{getattr(subscription, 'pk', subscription)}/status/"
    body = {"status_id": status_id, **said}
    return client.post(path, body, format="json", headers=headers)


def status(subscription, at):
    return status_at(StatusChange.objects.filter(subscription=subscription), at)


def problem(response):
    return response.status_code, response.json()["type"]


def test_a_pause_with_an_interval_plans_its_end(client, subscription):
    response = change(
        client, subscription, PAUSED, effect_date="2019-02-18T12:25:56.563", interval=30
    )
    assert response.status_code == 200
    body = response.json()
    rows = [(each["status_id"], each["effect_date"], each["details"]) for each in body["history"]]
    assert rows == [
        (PAUSED, "2019-02-18T12:25:56.563000Z", None),
        (ACTIVE, "2019-03-20T12:25:56.563000Z", AUTOMATIC_RETURN),
        (ACTIVE, "2020-01-01T00:00:00Z", None),
    ]
    assert body == {
        "id": subscription.pk,
        "club_id": subscription.club_id,
        "customer_id": subscription.customer_store_id,
        "status_id": ACTIVE,
        "create_date": body["create_date"],
        "history": body["history"],
    }
    end = datetime(2019, 3, 20, 12, 25, 56, 563000, UTC)
    assert status(subscription, end) == ACTIVE
    assert status(subscription, end - timedelta(microseconds=1)) == PAUSED


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2031-02-18T12:25:56", "2031-02-18T12:25:56Z"),
        ("2031-02-18T12:25:56.1Z", "2031-02-18T12:25:56.100000Z"),
        ("2031-02-18T09:25:56-03:00", "2031-02-18T12:25:56Z"),
    ],
)
def test_a_date_may_come_in_any_zone_and_is_kept_in_utc(client, subscription, said, kept):
    body = change(client, subscription, CANCELLED, effect_date=said, details="He said so").json()
    assert body["status_id"] == ACTIVE
    assert body["history"][-1]["effect_date"] == kept
    assert body["history"][-1]["details"] == "He said so"


def test_without_an_interval_a_pause_has_no_end(client, subscription):
    body = change(client, subscription, PAUSED).json()
    assert body["status_id"] == PAUSED
    assert [each["status_id"] for each in body["history"]] == [ACTIVE, PAUSED]


def test_nothing_cancelled_comes_back_by_itself(client, subscription):
    now = timezone.now()
    change(client, subscription, PAUSED, interval=30)
    assert change(client, subscription, CANCELLED).json()["status_id"] == CANCELLED
    assert status(subscription, now + 31 * DAY) == CANCELLED
    removed = RemovedChange.objects.get()
    assert (removed.status_id, removed.details) == (ACTIVE, AUTOMATIC_RETURN)
    assert removed.removed_by_id == StatusChange.objects.get(status=CANCELLED).pk


def test_an_early_return_does_not_end_the_next_pause(client, subscription):
    now = timezone.now()
    change(client, subscription, PAUSED, interval=30)
    assert change(client, subscription, ACTIVE).json()["status_id"] == ACTIVE
    begin = now + 20 * DAY
    change(client, subscription, PAUSED, effect_date=begin.isoformat(), interval=60)
    assert status(subscription, now + 31 * DAY) == PAUSED
    assert status(subscription, begin + 60 * DAY) == ACTIVE


def test_a_cancellation_after_the_return_leaves_it(client, subscription):
    now = timezone.now()
    change(client, subscription, PAUSED, interval=30)
    change(client, subscription, CANCELLED, effect_date=(now + 60 * DAY).isoformat())
    at = [status(subscription, now + days * DAY) for days in (1, 31, 61)]
    assert at == [PAUSED, ACTIVE, CANCELLED]


def test_a_planned_pause_keeps_its_end_beside_an_earlier_decision(client, subscription):
    now = timezone.now()
    change(client, subscription, PAUSED, effect_date=(now + 5 * DAY).isoformat(), interval=10)
    change(client, subscription, ACTIVE)
    at = [status(subscription, now + days * DAY) for days in (4, 6, 14, 16)]
    assert at == [ACTIVE, PAUSED, PAUSED, ACTIVE]
    change(client, subscription, ACTIVE, effect_date=(now + 5 * DAY).isoformat())
    assert status(subscription, now + 6 * DAY) == ACTIVE
    assert RemovedChange.objects.count() == 1


@pytest.mark.parametrize("first", [5, 10])
def test_pauses_do_not_overlap_in_either_order(client, subscription, first):
    now = timezone.now()
    begins = [first, 15 - first]
    codes = [
        change(
            client, subscription, PAUSED, effect_date=(now + days * DAY).isoformat(), interval=10
        )
        for days in begins
    ]
    if first == 5:  # the second begins in the first, and takes the place of its end
        assert [each.status_code for each in codes] == [200, 200]
        assert status(subscription, now + 16 * DAY) == PAUSED
        assert status(subscription, now + 21 * DAY) == ACTIVE
    else:
        assert codes[0].status_code == 200
        assert problem(codes[1]) == (409, "urn:problem:overlaps-another-decision")


def test_a_pause_may_end_right_before_the_next_decision_and_not_at_it(client, subscription):
    begin = timezone.now() + DAY
    decide(subscription.pk, ACTIVE, begin + 5 * DAY)
    said = {"effect_date": begin.isoformat(), "interval": 5}
    assert change(client, subscription, PAUSED, **said).status_code == 409
    assert change(client, subscription, PAUSED, **{**said, "interval": 4}).status_code == 200


@pytest.mark.parametrize("when", [-1, 1])
def test_what_is_cancelled_now_or_then_cannot_be_paused(client, subscription, when):
    now = timezone.now()
    decide(subscription.pk, CANCELLED, now + when * DAY)
    later = (now + 2 * DAY).isoformat()
    expected = (409, "urn:problem:subscription-cancelled")
    assert problem(change(client, subscription, PAUSED, effect_date=later)) == expected
    assert change(client, subscription, PAUSED).status_code == (409 if when < 0 else 200)


def test_a_cancellation_may_be_repeated(client, subscription):
    for _ in range(2):
        assert change(client, subscription, CANCELLED).json()["status_id"] == CANCELLED
    assert StatusChange.objects.filter(status=CANCELLED).count() == 2


def test_who_cancelled_comes_back_to_an_active_club_only(client, db):
    for club_status, expected in [(ACTIVE, 200), (CLOSED, 409)]:
        gone = make_subscription(make_club(club_status), (CANCELLED, timezone.now() - DAY))
        response = change(client, gone, ACTIVE)
        assert response.status_code == expected
    assert response.json()["type"] == "urn:problem:club-not-active"
    back_dated = (timezone.now() - 3 * DAY).isoformat()
    assert change(client, gone, ACTIVE, effect_date=back_dated).status_code == 409


def test_a_back_dated_decision_changes_nothing_recorded(client, subscription):
    now = timezone.now()
    decide(subscription.pk, PAUSED, now - 10 * DAY)
    decide(subscription.pk, ACTIVE, now - 2 * DAY, AUTOMATIC_RETURN)  # in effect already
    before = list(StatusChange.objects.values_list("pk", flat=True))
    body = change(client, subscription, CANCELLED, effect_date=(now - 5 * DAY).isoformat()).json()
    assert body["status_id"] == ACTIVE
    assert set(before) < set(StatusChange.objects.values_list("pk", flat=True))
    assert not RemovedChange.objects.exists()


def test_of_equal_dates_the_later_decision_holds(client, subscription):
    at = (timezone.now() - DAY).isoformat()
    for status_id in (PAUSED, ACTIVE, PAUSED):
        assert (
            change(client, subscription, status_id, effect_date=at).json()["status_id"] == status_id
        )


def test_the_history_ends_with_what_holds(client, subscription):
    at = timezone.now() - DAY
    decide(subscription.pk, PAUSED, at)
    decide(subscription.pk, CANCELLED, at)
    StatusChange.objects.filter(status=CANCELLED).update(create_date=None)
    body = change(client, subscription, ACTIVE, effect_date=(at - DAY).isoformat()).json()
    assert [each["status_id"] for each in body["history"]] == [ACTIVE, ACTIVE, CANCELLED, PAUSED]
    assert body["status_id"] == PAUSED


def test_rows_without_a_date_are_not_there(client, subscription):
    decide(subscription.pk, CANCELLED, None)
    body = change(client, subscription, ACTIVE).json()
    assert [each["status_id"] for each in body["history"]] == [ACTIVE, ACTIVE]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status_id": 0},
        {"status_id": 4},
        {"status_id": True},
        {"status_id": "1"},
        {"status_id": 1.0},
        {"status_id": 3, "interval": 0},
        {"status_id": 3, "interval": 3651},
        {"status_id": 3, "interval": 10**30},
        {"status_id": 3, "interval": True},
        {"status_id": 3, "interval": "5"},
        {"status_id": 3, "interval": None},
        {"status_id": 1, "interval": 5},
        {"status_id": 2, "interval": 5},
        {"status_id": 1, "effect_date": "2019-02-30T00:00:00"},
        {"status_id": 1, "effect_date": "yesterday"},
        {"status_id": 1, "effect_date": 5},
        {"status_id": 1, "effect_date": "0001-01-01T00:00:00+05:00"},
        {"status_id": 1, "effect_date": "9999-12-31T23:59:59Z"},
        {"status_id": 1, "details": "x" * 257},
        {"status_id": 1, "details": "a\x00b"},
        {"status_id": 1, "details": 5},
        {"status_id": 1, "reason": "x"},
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(client, subscription, body):
    path = f"/api/v1/subscription/{subscription.pk}/status/"
    response = client.post(path, body, format="json")
    assert response.status_code == 400, response.content
    assert response.json()["errors"][0]["pointer"].split("/")[1] in {*body, "status_id"}
    assert StatusChange.objects.count() == 1


@pytest.mark.parametrize("id", ["nobody", "a_b", "x" * 37, "%00", "٣", "a%2Fb", "eligible"])
def test_a_subscription_that_is_not_there_is_not_found(client, db, id):
    assert change(client, id, ACTIVE).status_code in (400, 404)


def test_the_last_interval_of_the_last_year_is_a_date(client, subscription):
    said = {"effect_date": "2999-12-31T00:00:00Z", "interval": 3650}
    assert change(client, subscription, PAUSED, **said).status_code == 200


def test_a_key_gives_one_answer(client, subscription):
    said = {"headers": {"Idempotency-Key": "k"}, "interval": 5}
    first, again = (change(client, subscription, PAUSED, **dict(said)) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert StatusChange.objects.count() == 3
    other = make_subscription()
    assert change(client, other, PAUSED, **dict(said)).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_no_return_survives_a_cancellation_beside_a_pause():
    for _ in range(15):
        subscription = make_subscription()
        responses = at_once(
            [
                partial(change, APIClient(), subscription, PAUSED, interval=30),
                partial(change, APIClient(), subscription, CANCELLED),
                partial(change, APIClient(), subscription, CANCELLED),
            ]
        )
        assert {each.status_code for each in responses} <= {200, 409}
        assert [each.status_code for each in responses[1:]] == [200, 200]
        later = timezone.now() + 40 * DAY
        assert status(subscription, later) == CANCELLED
