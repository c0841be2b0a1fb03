"""GET /incentives/progress/."""

from datetime import date

import pytest

from conftest import ALICE, BOB
from incentives.models import Event, Waiting
from incentives.tests.test_events_api import event
from incentives.tests.worlds import (
    BIRTH,
    STREAK,
    employer,
    happened,
    logged,
    member,
    noon,
    offer,
    programme,
    retracted,
    version,
    work,
)

pytestmark = pytest.mark.django_db
PROGRESS = "/api/v1/incentives/progress/"


def entry(**changes):
    return {
        "programme": "healthy-start",
        "incentive": "five-day-streak",
        "structure": "consecutive_days",
        "current": 0,
        "target": 5,
        "unit": "days",
        "achieved": False,
        "last_counted_on": None,
        **changes,
    }


def shown(client):
    response = client.get(PROGRESS)
    assert response.status_code == 200
    return response.json()


def test_an_accepted_event_counts_at_once(alice, report):
    offer()
    member(ALICE)
    assert shown(alice) == [entry()]
    for number in range(1, 5):
        report(event(id=f"e{number}", occurred_at=noon(number).isoformat()))
        assert shown(alice) == [entry(current=number, last_counted_on=f"2026-06-0{number}")]
    work()
    assert shown(alice) == [entry(current=4, last_counted_on="2026-06-04")]
    report(event(id="e5", occurred_at=noon(5).isoformat()))
    done = [entry(current=5, achieved=True, last_counted_on="2026-06-05")]
    assert shown(alice) == done
    work()
    assert shown(alice) == done


def test_an_event_that_arrives_late_counts_at_once_too(alice):
    offer()
    member(ALICE)
    logged(ALICE, [2, 3, 4, 5])
    work()
    logged(ALICE, [1])
    assert shown(alice) == [entry(current=5, achieved=True, last_counted_on="2026-06-05")]


def test_a_retraction_counts_at_once(alice):
    offer()
    member(ALICE)
    ids = logged(ALICE, range(1, 5))
    work()
    retracted(ids[1])
    assert shown(alice) == [entry(current=2, last_counted_on="2026-06-04")]


def test_a_retraction_of_what_was_achieved_counts_at_once(alice):
    offer(reward_code="RW-1")
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    retracted(ids[1])
    expected = [entry(current=3, last_counted_on="2026-06-05")]
    assert shown(alice) == expected
    work()
    assert shown(alice) == expected


def test_the_current_streak_is_the_latest_run(alice):
    offer()
    member(ALICE)
    logged(ALICE, [1, 2, 3, 5, 6])
    assert shown(alice) == [entry(current=2, last_counted_on="2026-06-06")]


def test_once_achieved_it_stays_at_the_target(alice):
    offer()
    member(ALICE)
    logged(ALICE, [*range(1, 6), 20])
    work()
    assert shown(alice) == [entry(current=5, achieved=True, last_counted_on="2026-06-20")]


def test_every_incentive_of_every_programme_is_there_in_a_stable_order(alice):
    offer()
    offer(BIRTH, slug="birth-reported", is_sensitive=True)
    offer(slug="another", within=programme("a-programme"))
    offer(slug="theirs", within=programme("z", employer=employer("globex")))
    offer(
        slug="over", within=programme("past", starts_on=date(2020, 1, 1), ends_on=date(2020, 2, 1))
    )
    member(ALICE)
    assert [(each["programme"], each["incentive"]) for each in shown(alice)] == [
        ("a-programme", "another"),
        ("healthy-start", "birth-reported"),
        ("healthy-start", "five-day-streak"),
    ]


def test_what_a_member_was_eligible_for_stays_visible(alice):
    offer()
    member(ALICE, ends_on=date(2026, 6, 30))
    logged(ALICE, [29, 30, 31])
    assert shown(alice) == [entry(current=2, last_counted_on="2026-06-30")]


def test_a_stranger_has_nothing(bob, alice):
    offer()
    member(ALICE)
    logged(BOB, range(1, 6))
    assert shown(bob) == []


def test_a_new_version_is_shown_to_those_not_under_way(alice, bob):
    incentive = offer()
    member(ALICE)
    member(BOB)
    logged(ALICE, [1])
    version(incentive, {**STREAK, "days": 7}, now=noon(10))
    assert shown(alice)[0]["target"] == 5
    assert shown(bob)[0]["target"] == 7


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (
            {"structure": "times_in_window", "event": "checkup_completed", "times": 3, "window": 9},
            {"current": 2, "target": 3, "unit": "times"},
        ),
        (
            {"structure": "distinct_days", "event": "checkup_completed", "days": 4},
            {"current": 2, "target": 4, "unit": "days"},
        ),
        (
            {"structure": "sum", "event": "checkup_completed", "field": "score", "threshold": 9},
            {"current": 5, "target": 9, "unit": "score"},
        ),
        (
            {
                "structure": "all_of",
                "parts": [{"structure": "single", "event": "checkup_completed"}, BIRTH],
            },
            {"current": 1, "target": 2, "unit": "parts"},
        ),
    ],
)
def test_every_structure_tells_how_far_it_is(alice, structure, expected):
    offer(structure, is_sensitive=True)
    member(ALICE)
    for day in (1, 2):
        happened(ALICE, noon(day), "checkup_completed", score="2.75")
    told = {"structure": structure["structure"], "last_counted_on": "2026-06-02", **expected}
    assert shown(alice) == [entry(**told)]
    work()
    assert shown(alice) == [entry(**told)]


def test_the_number_of_queries_is_constant(alice, django_assert_num_queries):
    offer()
    member(ALICE)
    logged(ALICE, range(1, 5))
    with django_assert_num_queries(3):
        shown(alice)
    for number in range(5):
        offer(slug=f"i{number}", within=programme(f"p{number}"))
    logged(ALICE, range(5, 20))
    Waiting.objects.create(user_id=ALICE)
    with django_assert_num_queries(4):  # and the log
        shown(alice)


def test_it_writes_nothing(alice):
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    before = Waiting.objects.count(), Event.objects.count()
    shown(alice)
    assert (Waiting.objects.count(), Event.objects.count()) == before


def test_it_needs_a_user(app):
    assert app.get(PROGRESS).status_code == 401
