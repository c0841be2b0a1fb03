"""One event at a time and all anew end in the same standing; and what counts at all."""

import json
from datetime import UTC, date, datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incentives.counting import (
    Happening,
    Occurrence,
    Odd,
    Offer,
    Period,
    Version,
    advance,
    awarded,
    fact_of,
    recount,
)
from incentives.structures import read_structure
from incentives.tests.test_structures import STRUCTURES, brute_force

START = datetime(2026, 1, 1, tzinfo=UTC)
ALWAYS = [Period(date(2020, 1, 1), None, "")]
ZONES = ["", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago"]


def offer_of(*specs, published=(), **changes):
    published = [START - timedelta(days=900), *published]
    versions = tuple(
        Version(number, number, read_structure(spec), "event", 100, 0, at)
        for number, (spec, at) in enumerate(zip(specs, published, strict=True), 1)
    )
    said = {"starts_on": date(2020, 1, 1), "ends_on": None, "employer_zone": "UTC", **changes}
    return Offer(
        incentive=1,
        slug="i",
        programme_slug="p",
        employer=1,
        versions=versions,
        **said,
    )


HAPPENINGS = st.lists(
    st.tuples(
        st.integers(0, 24 * 60 * 20 - 1),
        st.sampled_from("ab"),
        st.sampled_from(ZONES),
        st.integers(-2, 9),
    ),
    max_size=25,
).map(
    lambda found: [
        Happening(START + timedelta(minutes=minute), kind, zone, number, {"steps": steps})
        for number, (minute, kind, zone, steps) in enumerate(found)
    ]
)


def arrive(offer, happenings, sizes):
    """As a worker does it: some at a time, and anew where these alone cannot tell."""
    seen, standing = 0, None
    while seen < len(happenings):
        some = happenings[seen : seen + next(sizes)]
        seen += len(some)
        try:
            standing = advance(standing, offer, some, ALWAYS)
        except Odd:
            standing = recount(offer, happenings[:seen], ALWAYS)
    return standing


def said(standing):
    return standing and (
        standing.version.id,
        standing.state,
        standing.reached,
        standing.first_at,
        standing.latest_at,
        standing.last_counted_on,
    )


@settings(max_examples=500, deadline=None)
@given(STRUCTURES, HAPPENINGS, st.data())
def test_however_events_arrive_the_standing_is_that_of_the_log(spec, happenings, data):
    offer = offer_of(spec)
    shuffled = data.draw(st.permutations(happenings))
    sizes = iter(lambda: data.draw(st.integers(1, 4)), None)
    # Standings are trimmed a little, a lot, or not at all.
    with patch("incentives.structures.block.KEPT_DAYS", data.draw(st.sampled_from([1, 4, 60]))):
        assert said(arrive(offer, shuffled, sizes)) == said(recount(offer, happenings, ALWAYS))


@settings(max_examples=300, deadline=None)
@given(STRUCTURES, HAPPENINGS)
def test_a_trimmed_state_amounts_to_the_same(spec, happenings):
    whole = recount(offer_of(spec), happenings, ALWAYS)
    with patch("incentives.structures.block.KEPT_DAYS", 1):
        trimmed = recount(offer_of(spec), happenings, ALWAYS)
    if whole and trimmed:
        structure = whole.version.structure
        assert structure.reached(trimmed.state) == structure.reached(whole.state)
        assert structure.current(trimmed.state) == structure.current(whole.state)
        assert trimmed.occurrences == whole.occurrences
    else:
        assert whole is trimmed is None


def test_a_state_does_not_grow_with_its_history():
    sizes = []
    for days in (100, 1000):
        for spec in (
            {"structure": "consecutive_days", "event": "a", "days": 5},
            {"structure": "distinct_days", "event": "a", "days": 3000},
            {"structure": "times_in_window", "event": "a", "times": 9, "window": 5},
            {"structure": "sum", "event": "a", "field": "steps", "threshold": 10**9},
        ):
            logs = [
                Happening(START + timedelta(days=2 * day), "a", "", day, {"steps": 1})
                for day in range(days)
            ]
            sizes.append(len(json.dumps(recount(offer_of(spec), logs, ALWAYS).state)))
    assert max(sizes[4:]) <= max(sizes[:4]) + 10


@settings(max_examples=300, deadline=None)
@given(STRUCTURES, STRUCTURES, HAPPENINGS, st.integers(0, 20), st.data())
def test_whoever_is_under_way_finishes_on_the_version_that_ran_then(
    first, second, happenings, day, data
):
    published = START + timedelta(days=day)
    offer = offer_of(first, second, published=[published])
    whole = recount(offer, happenings, ALWAYS)
    shuffled = data.draw(st.permutations(happenings))
    sizes = iter(lambda: data.draw(st.integers(1, 4)), None)
    assert said(arrive(offer, shuffled, sizes)) == said(whole)
    on_first = recount(offer_of(first), happenings, ALWAYS)
    began_before = on_first is not None and on_first.first_at < published
    expected = on_first if began_before else recount(offer_of(second), happenings, ALWAYS)
    if expected is None:
        assert whole is None
    else:
        assert whole.version.id == (1 if began_before else 2)
        assert said(whole)[1:] == said(expected)[1:]


@settings(max_examples=300, deadline=None)
@given(STRUCTURES, HAPPENINGS)
def test_the_n_th_occurrence_is_when_the_log_first_holds_n(spec, happenings):
    offer = offer_of(spec)
    standing = recount(offer, happenings, ALWAYS)
    expected, before = [], 0
    ordered = sorted(happenings)
    for count in range(1, len(ordered) + 1):
        facts = [fact_of(each, offer, offer.versions[0], ALWAYS) for each in ordered[:count]]
        reached = brute_force(spec, [fact for fact in facts if fact])
        expected += [ordered[count - 1].at] * (reached - before)
        before = reached
    found = standing.occurrences if standing else []
    assert [each.at for each in found] == expected


STREAK = {"structure": "consecutive_days", "event": "a", "days": 5}


def at(text, kind="a", zone="", number=0):
    return Happening(datetime.fromisoformat(text), kind, zone, number, {})


NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("zone", "texts", "days"),
    [
        # Two minutes apart over midnight.
        (
            "America/New_York",
            ["2026-06-02T03:59Z", "2026-06-02T04:01Z"],
            ["2026-06-01", "2026-06-02"],
        ),
        # A day of 23 hours, one of 25.
        (
            "America/New_York",
            ["2026-03-08T04:30Z", "2026-03-09T03:30Z"],
            ["2026-03-07", "2026-03-08"],
        ),
        (
            "America/New_York",
            ["2026-11-01T04:15Z", "2026-11-02T05:15Z"],
            ["2026-11-01", "2026-11-02"],
        ),
        # Days without a midnight.
        ("Africa/Cairo", ["2026-04-23T21:59Z", "2026-04-23T22:00Z"], ["2026-04-23", "2026-04-24"]),
        (
            "Asia/Kathmandu",
            ["2026-05-05T18:14Z", "2026-05-05T18:15Z"],
            ["2026-05-05", "2026-05-06"],
        ),
        ("Asia/Tokyo", ["2026-05-05T14:59Z", "2026-05-05T15:00Z"], ["2026-05-05", "2026-05-06"]),
        # Leap years.
        ("UTC", ["2028-02-28T12:00Z", "2028-02-29T12:00Z"], ["2028-02-28", "2028-02-29"]),
        # The day that Samoa left out.
        ("Pacific/Apia", ["2011-12-30T09:59Z", "2011-12-30T10:00Z"], ["2011-12-29", "2011-12-31"]),
        # The date line.
        ("Pacific/Kiritimati", ["2026-05-05T10:00Z"], ["2026-05-06"]),
        ("Pacific/Pago_Pago", ["2026-05-05T10:00Z"], ["2026-05-04"]),
    ],
)
def test_a_day_is_a_day_of_the_zone(zone, texts, days):
    offer = offer_of(STREAK, starts_on=date(2000, 1, 1))
    period = [Period(date(2000, 1, 1), None, "")]
    facts = [fact_of(at(text, zone=zone), offer, offer.versions[0], period) for text in texts]
    assert [fact.day.isoformat() for fact in facts] == days


def test_the_zone_is_the_events_then_the_members_then_the_employers():
    instant = at("2026-05-05T20:00Z")
    offer = offer_of(STREAK, employer_zone="Asia/Tokyo")
    version = offer.versions[0]
    everywhere = [Period(date(2020, 1, 1), None, "")]
    member = [Period(date(2020, 1, 1), None, "America/New_York")]
    said_so = instant._replace(zone="Pacific/Auckland")
    assert fact_of(instant, offer, version, everywhere).day == date(2026, 5, 6)
    assert fact_of(instant, offer, version, member).day == date(2026, 5, 5)
    assert fact_of(said_so, offer, version, member).day == date(2026, 5, 6)


@pytest.mark.parametrize(("local_day", "day"), [("event", 7), ("member", 5), ("employer", 6)])
def test_a_rule_may_take_the_members_or_the_employers_day(local_day, day):
    offer = offer_of(STREAK, employer_zone="UTC")
    version = Version(1, 1, read_structure(STREAK), local_day, 1, 0, START)
    member = [Period(date(2020, 1, 1), None, "Pacific/Pago_Pago")]
    instant = at("2026-05-06T10:30Z", zone="Pacific/Kiritimati")
    assert fact_of(instant, offer, version, member).day == date(2026, 5, day)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("2026-01-31T23:59:59Z", False),
        ("2026-02-01T00:00Z", True),
        ("2026-02-28T23:30Z", True),
        ("2026-03-01T00:00Z", False),
    ],
)
def test_programme_and_eligibility_include_their_last_local_day(text, counts):
    programme = offer_of(STREAK, starts_on=date(2026, 2, 1), ends_on=date(2026, 2, 28))
    assert bool(fact_of(at(text), programme, programme.versions[0], ALWAYS)) is counts
    whenever = offer_of(STREAK)
    periods = [Period(date(2026, 2, 1), date(2026, 2, 28), "")]
    assert bool(fact_of(at(text), whenever, whenever.versions[0], periods)) is counts


def test_each_period_counts_in_its_own_zone():
    offer = offer_of(STREAK, employer_zone="UTC")
    periods = [
        Period(date(2026, 1, 1), date(2026, 3, 31), "America/New_York"),
        Period(date(2026, 4, 1), None, "Europe/Berlin"),
    ]
    days = [
        fact_of(at(text), offer, offer.versions[0], periods).day
        for text in ("2026-03-31T22:30Z", "2026-04-30T22:30Z")
    ]
    assert days == [date(2026, 3, 31), date(2026, 5, 1)]


def occurrence(day):
    on = date(2026, 1, 1) + timedelta(days=day)
    return Occurrence(START + timedelta(days=day), on, (on,))


def test_the_cool_down_is_over_on_its_last_day():
    version = Version(1, 1, read_structure(STREAK), "event", 100, 30, START)
    days = [occurrence(day) for day in (0, 29, 30, 59, 60, 61)]
    assert awarded(days, version) == [days[0], days[2], days[4]]
    assert awarded(days[3:], version, before=[days[2].on]) == [days[4]]


def test_a_member_gets_no_more_than_the_maximum():
    version = Version(1, 1, read_structure(STREAK), "event", 3, 0, START)
    days = [occurrence(day) for day in (0, 0, 1, 1)]
    assert awarded(days, version) == days[:3]
    assert awarded(days, version, before=[days[0].on] * 2) == days[:1]
    assert awarded(days, version, before=[days[0].on] * 3) == []
