"""GET /benefits/inactivity/: when nobody used a benefit for 14, 21 or 30 days of 24 hours."""

from datetime import timedelta

import pytest

from benefits.models import Benefit, Venue
from benefits.tests.factories import NOW, TICK, W0, benefit, instant, iso, person, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
PATH = "/api/v1/benefits/inactivity/"
DAY = timedelta(hours=24)
IDLE = {"day": 14 * DAY, "week": 21 * DAY, "month": 30 * DAY}


@pytest.fixture(autouse=True)
def alice():
    return person()


def inactivity(till, venue):
    response = till.get(f"{PATH}?venueId={venue.pk}")
    assert response.status_code == 200, response.json()
    return response.json()


def periods(till, what):
    """As pairs of instants; none when the benefit is not listed."""
    found = {each["benefitId"]: each["inactivityPeriods"] for each in inactivity(till, what.venue)}
    mine = found.get(what.pk, [])
    return [(instant(each["startTime"]), instant(each["endTime"])) for each in mine]


def daily(first, last):
    return [first + n * DAY for n in range((last - first).days + 1)]


def test_fields_order_and_form(till):
    venue = Venue.objects.create(name="Gym")
    second = Benefit.objects.create(id=20, venue=venue, title="b", recurrence="day", created_at=W0)
    first = Benefit.objects.create(id=10, venue=venue, title="a", recurrence="day", created_at=W0)
    used(first, W0 + 20 * DAY, *daily(W0 + 40 * DAY, NOW))
    used(second, *daily(W0, NOW))
    third = Benefit.objects.create(id=30, venue=venue, title="c", recurrence="day", created_at=W0)
    assert inactivity(till, venue) == [
        {
            "benefitId": 10,
            "inactivityPeriods": [
                {"startTime": iso(W0), "endTime": iso(W0 + 20 * DAY)},
                {"startTime": iso(W0 + 20 * DAY), "endTime": iso(W0 + 40 * DAY)},
            ],
        },
        {"benefitId": third.pk, "inactivityPeriods": [{"startTime": iso(W0), "endTime": iso(NOW)}]},
    ]


@pytest.mark.parametrize("recurrence", ["day", "week", "month"])
def test_exactly_the_threshold_is_a_period_and_less_is_none(till, recurrence):
    idle = IDLE[recurrence]
    exact, shorter = benefit(recurrence), benefit(recurrence)
    middle = NOW - 60 * DAY
    used(exact, *daily(W0, middle), *daily(middle + idle, NOW))
    used(shorter, *daily(W0, middle), *daily(middle + idle - TICK, NOW), NOW)
    assert periods(till, exact) == [(middle, middle + idle)]
    assert periods(till, shorter) == []


def test_never_used_is_the_whole_window(till):
    assert periods(till, benefit("month")) == [(W0, NOW)]


def test_an_ongoing_one_ends_now(till):
    coffee, tea = benefit(), benefit()
    used(coffee, *daily(W0, NOW - 14 * DAY))
    used(tea, *daily(W0, NOW - 14 * DAY), NOW - 14 * DAY + TICK)
    assert periods(till, coffee) == [(NOW - 14 * DAY, NOW)]
    assert periods(till, tea) == []


def test_it_is_clipped_to_the_window_and_measured_clipped(till):
    short, long = benefit(), benefit()
    used(short, instant("2025-12-28T00:00"), *daily(instant("01-12T00:00"), NOW))
    used(long, instant("2025-12-01T00:00"), *daily(instant("01-20T00:00"), NOW))
    assert periods(till, short) == []  # 15 days long, 10 of them inside
    assert periods(till, long) == [(W0, instant("01-20T00:00"))]


@pytest.mark.parametrize("hours", [0, 7, 23.9])
def test_a_use_at_the_windows_very_beginning_is_inside_and_one_before_is_not(
    till, set_clock, hours
):
    shift = timedelta(hours=hours)
    set_clock(NOW + shift)
    coffee, tea = benefit(), benefit()
    used(coffee, W0 + shift, *daily(W0 + shift + 14 * DAY - TICK, NOW), NOW)
    used(tea, W0 + shift - TICK, *daily(W0 + shift + 14 * DAY, NOW), NOW)
    assert periods(till, coffee) == []
    assert periods(till, tea) == [(W0 + shift, W0 + shift + 14 * DAY)]


def test_uses_in_the_future_end_nothing(till, set_clock):
    set_clock(NOW + DAY / 2)
    coffee = benefit()
    used(coffee, *daily(W0, NOW - 20 * DAY), NOW + DAY / 2 + TICK, NOW + 3 * DAY)
    assert periods(till, coffee) == [(NOW - 20 * DAY, NOW + DAY / 2)]


def test_today_may_have_uses_on_both_sides_of_now(till, set_clock):
    set_clock(NOW + DAY / 2)
    coffee = benefit()
    used(coffee, *daily(W0, NOW - 20 * DAY), NOW + DAY / 4, NOW + DAY / 2 + TICK)
    assert periods(till, coffee) == [(NOW - 20 * DAY, NOW + DAY / 4)]


def test_anyones_use_breaks_it_and_only_of_this_benefit(till):
    bob = person("Bob")
    coffee = benefit()
    massage = benefit("month", venue=coffee.venue)
    used(coffee, *daily(W0, NOW - 10 * DAY))
    used(coffee, NOW - 5 * DAY, by=bob)
    assert periods(till, coffee) == []
    assert periods(till, massage) == [(W0, NOW)]


def test_two_uses_at_one_instant_make_no_empty_period(till):
    coffee = benefit()
    used(coffee, NOW - 90 * DAY, by=person("Bob"))
    used(coffee, NOW - 90 * DAY)
    assert periods(till, coffee) == [(W0, NOW - 90 * DAY), (NOW - 90 * DAY, NOW)]


def test_one_created_inside_the_window_starts_at_its_creation(till):
    born = NOW - 50 * DAY + TICK
    coffee, tea, new = (benefit(created_at=at) for at in (born, born, NOW - 14 * DAY + TICK))
    used(coffee, born + 14 * DAY)
    used(tea, born + 14 * DAY - TICK, *daily(born + 20 * DAY, NOW))
    assert periods(till, coffee) == [(born, born + 14 * DAY), (born + 14 * DAY, NOW)]
    assert periods(till, tea) == []
    assert periods(till, new) == []


def test_uses_before_its_creation_do_not_lengthen_anything(till):
    born = NOW - 50 * DAY
    coffee, tea = benefit(created_at=born), benefit(created_at=born)
    used(coffee, born - 30 * DAY, born - TICK)
    used(tea, born - TICK, born, born + TICK)
    assert periods(till, coffee) == [(born, NOW)]
    assert periods(till, tea) == [(born + TICK, NOW)]


@pytest.mark.parametrize("created_at", [NOW, NOW + TICK, NOW + 30 * DAY])
def test_what_does_not_exist_yet_lies_not_idle(till, created_at):
    coffee = benefit(created_at=created_at)
    used(coffee, NOW - 90 * DAY)
    assert periods(till, coffee) == []


def test_the_recurrence_of_today_sets_the_threshold(till):
    coffee = benefit("month")
    used(coffee, *daily(W0, NOW - 20 * DAY))
    assert periods(till, coffee) == []
    Benefit.objects.update(recurrence="day")
    assert periods(till, coffee) == [(NOW - 20 * DAY, NOW)]


def test_all_ongoing_periods_end_at_one_instant(till, monkeypatch):
    monkeypatch.undo()  # the real clock
    venue = Venue.objects.create(name="Gym")
    for number in range(10):
        benefit(venue=venue, title=str(number))
    ends = {
        period["endTime"]
        for each in inactivity(till, venue)
        for period in each["inactivityPeriods"]
    }
    assert len(ends) == 1


def test_it_is_one_query(till, django_assert_num_queries):
    venue = Venue.objects.create(name="Gym")
    for number in range(10):
        used(benefit(venue=venue, title=str(number)), *daily(W0, NOW - 40 * DAY))
    with django_assert_num_queries(1):
        assert len(inactivity(till, venue)) == 10


def test_an_unknown_venue_is_404_and_one_without_benefits_has_none(till):
    assert inactivity(till, Venue.objects.create(name="Empty")) == []
    assert till.get(f"{PATH}?venueId=404404").status_code == 404


@pytest.mark.parametrize("query", ["", "?venueId=", "?venueId=x", "?venueId=1&venueId=1", "?id=1"])
def test_what_cannot_be_read_is_400(till, query):
    assert till.get(f"{PATH}{query}").status_code == 400
