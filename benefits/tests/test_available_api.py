"""GET /benefits/available/ and /benefits/: what a person may use at an instant, and from when."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.db import connection

from benefits.models import Benefit, Venue
from benefits.tests.factories import NOW, TICK, benefit, iso, person, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
PATH = "/api/v1/benefits/available/"
DAY = timedelta(hours=24)


def ask(till, who, venue, timestamp=None, path=PATH):
    query = f"personId={who.pk}&venueId={venue.pk}"
    if timestamp is not None:
        text = iso(timestamp) if isinstance(timestamp, datetime) else timestamp
        query += f"&timestamp={quote(text)}"
    return till.get(f"{path}?{query}")


def is_available(till, who, what, timestamp=None):
    response = ask(till, who, what.venue, timestamp)
    assert response.status_code == 200, response.json()
    return what.pk in [each["id"] for each in response.json()]


def test_benefits_come_by_id_with_these_fields_and_no_others(till):
    alice, venue = person(), Venue.objects.create(name="Gym")
    second = Benefit.objects.create(id=20, venue=venue, title="Sauna", recurrence="week")
    first = Benefit.objects.create(id=10, venue=venue, title="Çay ☕ & <b>", recurrence="day")
    benefit(venue=Venue.objects.create(name="Elsewhere"))
    assert ask(till, alice, venue).json() == [
        {"id": first.pk, "venueId": venue.pk, "title": "Çay ☕ & <b>", "recurrence": "day"},
        {"id": second.pk, "venueId": venue.pk, "title": "Sauna", "recurrence": "week"},
    ]


@pytest.mark.parametrize(("recurrence", "hours"), [("day", 24), ("week", 168), ("month", 720)])
def test_exactly_one_recurrence_later_it_is_available_again(till, recurrence, hours):
    alice, coffee = person(), benefit(recurrence)
    again = NOW + timedelta(hours=hours)
    used(coffee, NOW)
    assert not is_available(till, alice, coffee, NOW)
    assert not is_available(till, alice, coffee, again - TICK)
    assert is_available(till, alice, coffee, again)
    assert is_available(till, alice, coffee, NOW - TICK)


def test_without_a_timestamp_it_is_now(till):
    alice, coffee = person(), benefit()
    used(coffee, NOW - DAY + TICK)
    assert not is_available(till, alice, coffee)
    used(other := benefit(title="Tea"), NOW - DAY)
    assert is_available(till, alice, other)


def test_a_month_is_720_hours_whatever_the_calendar_says(till):
    alice, massage = person(), benefit("month")
    used(massage, "2026-01-31T00:00")
    assert not is_available(till, alice, massage, "2026-02-28T12:00:00Z")
    assert not is_available(till, alice, massage, "2026-03-01T23:59:59.999999Z")
    assert is_available(till, alice, massage, "2026-03-02T00:00:00Z")


def test_later_uses_are_ignored_and_do_not_hide_earlier_ones(till):
    alice, coffee, tea = person(), benefit(), benefit(title="Tea")
    used(coffee, "07-05T00:00")
    used(tea, "06-30T12:00", "07-05T00:00")
    assert is_available(till, alice, coffee, NOW)
    assert not is_available(till, alice, tea, NOW)


def test_a_use_exactly_then_blocks(till):
    alice, coffee = person(), benefit()
    used(coffee, NOW)
    assert not is_available(till, alice, coffee, NOW)


def test_only_ones_own_uses_of_this_very_benefit_count(till):
    alice, bob = person(), person("Bob")
    coffee = benefit()
    tea = benefit(venue=coffee.venue, title="Tea")
    used(coffee, NOW, by=bob)
    used(tea, NOW, by=alice)
    assert is_available(till, alice, coffee, NOW)
    assert not is_available(till, bob, coffee, NOW)
    assert is_available(till, bob, tea, NOW)


@pytest.mark.parametrize(
    ("use", "asked", "expected"),
    [
        ("2026-03-28T12:00+02:00", "2026-03-29T12:00+03:00", False),  # 23 h: clocks went ahead
        ("2026-03-28T12:00+02:00", "2026-03-29T13:00+03:00", True),
        ("2026-10-24T12:00+03:00", "2026-10-25T11:00+02:00", True),  # 24 h: clocks went back
        ("2026-10-24T12:00+03:00", "2026-10-25T10:59:59.999999+02:00", False),
    ],
)
def test_a_day_has_24_hours_also_where_clocks_change(till, use, asked, expected):
    alice, coffee = person(), benefit()
    used(coffee, use)
    assert is_available(till, alice, coffee, asked) is expected


def test_a_naive_time_is_utc_also_for_a_session_in_another_zone(till):
    alice, coffee = person(), benefit()
    used(coffee, "06-30T12:00")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Europe/Helsinki'")
    assert not is_available(till, alice, coffee, "2026-07-01T11:59:59.999999")
    assert is_available(till, alice, coffee, "2026-07-01T12:00:00")


@pytest.mark.parametrize("path", [PATH, "/api/v1/benefits/"])
def test_a_plus_that_nobody_encoded_is_understood(till, path):
    alice, coffee = person(), benefit()
    used(coffee, "06-30T12:00")

    def asked(timestamp):
        query = f"personId={alice.pk}&venueId={coffee.venue_id}&timestamp={timestamp}"
        response = till.get(f"{path}?{query}")
        assert response.status_code == 200, response.json()
        return [each.get("available", True) for each in response.json()]

    assert asked("2026-07-01T13:59:59.999999+02:00") in ([], [False])
    assert asked("2026-07-01T14:00:00+02:00") == [True]


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_ends_of_time_are_no_accident(till, timestamp):
    alice, coffee = person(), benefit("month")
    used(coffee, datetime(1, 1, 1, tzinfo=UTC) + 2 * DAY, datetime(9998, 12, 31, tzinfo=UTC))
    assert is_available(till, alice, coffee, timestamp)
    offers = ask(till, alice, coffee.venue, timestamp, path="/api/v1/benefits/")
    assert offers.status_code == 200


def test_the_recurrence_of_today_judges_old_uses(till):
    alice, coffee = person(), benefit("month")
    used(coffee, *(NOW - n * DAY for n in (2, 3, 4)))
    assert not is_available(till, alice, coffee)
    Benefit.objects.update(recurrence="day")
    assert is_available(till, alice, coffee)


def test_a_venue_without_benefits_has_none(till):
    assert ask(till, person(), Venue.objects.create(name="Empty")).json() == []


@pytest.mark.parametrize("path", [PATH, "/api/v1/benefits/"])
def test_unknown_venues_and_persons_are_404(till, path):
    alice, coffee = person(), benefit()
    for who, venue in [(alice.pk, 404404), (404404, coffee.venue_id), (0, 0), (-1, -1)]:
        response = till.get(f"{path}?personId={who}&venueId={venue}")
        assert response.status_code == 404
        assert response.json()["type"] == "urn:problem:not-found"


BAD = [
    ("venueId=1", "/personId"),
    ("personId=1", "/venueId"),
    ("personId=&venueId=1", "/personId"),
    ("personId=abc&venueId=1", "/personId"),
    ("personId=1.0&venueId=1", "/personId"),
    ("personId=%2B1&venueId=1", "/personId"),
    ("personId=01&venueId=1", "/personId"),
    ("personId=%EF%BC%91&venueId=1", "/personId"),
    ("personId=9223372036854775808&venueId=1", "/personId"),
    ("personId=" + "9" * 5000 + "&venueId=1", "/personId"),
    ("personId=1&personId=1&venueId=1", "/personId"),
    ("personId=1&venueId=1&venueId=2", "/venueId"),
    ("personId=1&venueId=1%00", "/venueId"),
    ("personId=1&venueId=1&timestamp=", "/timestamp"),
    ("personId=1&venueId=1&timestamp=yesterday", "/timestamp"),
    ("personId=1&venueId=1&timestamp=2026-01-01T00:00:00+Z", "/timestamp"),  # a space
    ("personId=1&venueId=1&timestamp=2026-01-01", "/timestamp"),
    ("personId=1&venueId=1&timestamp=2026-02-30T00:00:00Z", "/timestamp"),
    ("personId=1&venueId=1&timestamp=9999-12-31T23:59:59-14:00", "/timestamp"),
    ("personId=1&venueId=1&timestamp=1767225600", "/timestamp"),
    ("personId=1&venueId=1&timeStamp=2026-01-01T00:00:00Z", "/timeStamp"),
]


@pytest.mark.parametrize("path", [PATH, "/api/v1/benefits/"])
@pytest.mark.parametrize(("query", "pointer"), BAD)
def test_what_cannot_be_read_is_400_and_named(till, path, query, pointer):
    response = till.get(f"{path}?{query}")
    assert response.status_code == 400
    assert pointer in [each["pointer"] for each in response.json()["errors"]]


def test_every_fault_is_named_at_once(till):
    errors = till.get(f"{PATH}?venueId=x&timestamp=y").json()["errors"]
    assert {each["pointer"] for each in errors} == {"/venueId", "/timestamp", "/personId"}


def test_it_is_one_query_also_for_a_person_with_a_long_history(till, django_assert_num_queries):
    alice, venue = person(), Venue.objects.create(name="Gym")
    for number in range(30):
        used(benefit(venue=venue, title=str(number)), *(NOW - n * DAY for n in range(50)))
    with django_assert_num_queries(1):
        assert ask(till, alice, venue).json() == []
    with django_assert_num_queries(1):
        assert len(ask(till, alice, venue, path="/api/v1/benefits/").json()) == 30


def test_only_the_gateway_may_ask(till, settings):
    settings.GATEWAY_SECRET = "s3cret"
    alice, coffee = person(), benefit()
    for path in (PATH, "/api/v1/benefits/"):
        assert ask(till, alice, coffee.venue, path=path).status_code == 403
    till.credentials(HTTP_X_GATEWAY_SECRET="s3cret")
    assert ask(till, alice, coffee.venue).status_code == 200


# Every benefit, and from when on


def offer(till, who, what, timestamp=None):
    offers = ask(till, who, what.venue, timestamp, path="/api/v1/benefits/").json()
    return next(each for each in offers if each["id"] == what.pk)


def test_every_benefit_of_the_venue_is_listed_with_its_next_time(till):
    alice, coffee = person(), benefit()
    sauna = benefit("week", venue=coffee.venue, title="Sauna")
    used(sauna, NOW - DAY)
    assert ask(till, alice, coffee.venue, path="/api/v1/benefits/").json() == [
        {
            "id": coffee.pk,
            "venueId": coffee.venue_id,
            "title": "Coffee",
            "recurrence": "day",
            "available": True,
            "availableAt": iso(NOW),
        },
        {
            "id": sauna.pk,
            "venueId": coffee.venue_id,
            "title": "Sauna",
            "recurrence": "week",
            "available": False,
            "availableAt": iso(NOW + 6 * DAY),
        },
    ]


def test_the_next_time_hops_over_later_uses_that_leave_no_room(till):
    alice, coffee = person(), benefit()
    used(coffee, NOW - DAY / 2, NOW + DAY, NOW + 2.5 * DAY, NOW + 5 * DAY)
    shown = offer(till, alice, coffee)
    # Half a day from now a day is left before the next use: no room. 3.5 days from now there is.
    assert (shown["available"], shown["availableAt"]) == (False, iso(NOW + 3.5 * DAY))


def test_available_by_what_was_but_not_to_be_recorded_before_a_later_use(till):
    alice, coffee = person(), benefit()
    used(coffee, NOW + DAY / 2)
    shown = offer(till, alice, coffee)
    assert (shown["available"], shown["availableAt"]) == (True, iso(NOW + 1.5 * DAY))


def test_exactly_two_recurrences_between_two_uses_leave_room_for_one(till):
    alice, coffee = person(), benefit()
    used(coffee, NOW, NOW + 2 * DAY)
    assert offer(till, alice, coffee)["availableAt"] == iso(NOW + DAY)
    used(tea := benefit(title="Tea"), NOW, NOW + 2 * DAY - TICK)
    assert offer(till, alice, tea)["availableAt"] == iso(NOW + 3 * DAY - TICK)
