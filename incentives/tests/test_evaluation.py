"""What workers make of events: in any order, with retractions, exactly once."""

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ALICE, BOB, CHARLIE
from incentives import evaluation, log
from incentives.models import Achievement, Eligibility, Event, Programme, Progress
from incentives.programmes import save_programme
from incentives.tests.worlds import (
    BIRTH,
    STREAK,
    awards,
    employer,
    happened,
    logged,
    member,
    noon,
    offer,
    picture,
    programme,
    recounted,
    retracted,
    version,
    work,
)

pytestmark = pytest.mark.django_db

WALKS = {"structure": "sum", "event": "activity_tracked", "field": "steps", "threshold": 100}


def days(achievement):
    return [int(day[-2:]) for day in achievement.days]


def test_five_days_in_a_row_earn_the_reward_once():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 12))
    work()
    (pillow,) = awards(ALICE)
    assert pillow.status == "granted"
    assert days(pillow) == [1, 2, 3, 4, 5]
    assert (pillow.achieved_at, pillow.effective_on) == (noon(5), date(2026, 6, 5))


def test_a_gap_breaks_the_streak():
    offer()
    member(ALICE)
    logged(ALICE, [1, 2, 3, 4, 6])
    work()
    assert awards(ALICE) == []


@pytest.mark.parametrize("order", [[5, 3, 1, 2, 4], [5, 4, 3, 2, 1], [2, 3, 4, 5, 1]])
def test_the_order_of_arrival_does_not_matter(order):
    offer()
    member(ALICE)
    for day in order:
        logged(ALICE, [day])
        work()
    (pillow,) = awards(ALICE)
    assert (pillow.achieved_at, days(pillow)) == (noon(5), [1, 2, 3, 4, 5])


def test_an_award_is_put_right_when_an_earlier_day_comes_to_light():
    offer()
    member(ALICE)
    logged(ALICE, [2, 3, 4, 5, 6])
    work()
    assert days(awards(ALICE)[0]) == [2, 3, 4, 5, 6]
    logged(ALICE, [1])
    work()
    (pillow,) = awards(ALICE)
    assert (days(pillow), pillow.effective_on) == ([1, 2, 3, 4, 5], date(2026, 6, 5))
    assert [each.note for each in pillow.changes.order_by("version")][-1].startswith("Put right")
    assert (pillow.version, pillow.status) == (2, "granted")


def test_an_event_before_the_file_that_names_its_member_counts():
    offer()
    logged(ALICE, range(1, 6))
    work()
    assert awards(ALICE) == []
    Eligibility.objects.create(employer=employer(), user_id=ALICE, starts_on=date(2025, 1, 1))
    work()
    assert len(awards(ALICE)) == 1


def test_people_in_no_programme_achieve_nothing():
    offer()
    logged(BOB, range(1, 6))
    work()
    assert not Progress.objects.exists()
    assert not Achievement.objects.exists()


def test_days_after_a_member_left_do_not_count():
    offer()
    member(ALICE, ends_on=date(2026, 6, 3))
    logged(ALICE, range(1, 6))
    work()
    assert awards(ALICE) == []
    assert Progress.objects.get().last_counted_on == date(2026, 6, 3)


def test_another_employers_programme_begins_anew():
    offer()
    there = programme("elsewhere", employer=employer("globex", "Asia/Tokyo"))
    offer(within=there, slug="there")
    member(ALICE, ends_on=date(2026, 6, 3))
    member(ALICE, "globex", starts_on=date(2026, 6, 4))
    logged(ALICE, range(1, 9))
    work()
    (pillow,) = awards(ALICE)
    assert (pillow.incentive.slug, days(pillow)) == ("there", [4, 5, 6, 7, 8])


def test_two_programmes_share_an_event():
    offer()
    offer(within=programme("second"), slug="same")
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    assert {each.incentive.slug for each in awards(ALICE)} == {"five-day-streak", "same"}


def test_a_retraction_takes_back_what_it_carried():
    offer()
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    retracted(ids[2])
    work()
    (pillow,) = awards(ALICE)
    assert pillow.status == "reversed"
    assert pillow.changes.get(version=2).note == "The log no longer says so."
    logged(ALICE, [3])
    work()
    (pillow,) = awards(ALICE)
    assert (pillow.status, pillow.version, days(pillow)) == ("granted", 3, [1, 2, 3, 4, 5])


def test_a_retraction_that_takes_nothing_away_changes_nothing():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    second = happened(ALICE, noon(3) + timedelta(hours=1))
    work()
    before = picture(ALICE)
    retracted(second)
    work()
    assert picture(ALICE) == before
    assert awards(ALICE)[0].version == 1


def test_an_event_retracted_before_anybody_looked_never_counts():
    offer(BIRTH, slug="birth", is_sensitive=True)
    member(ALICE)
    retracted(happened(ALICE, noon(1), "birth_reported"))
    work()
    assert awards(ALICE) == []
    assert not Progress.objects.exists()


def test_what_a_partner_fulfilled_waits_for_a_persons_decision():
    offer()
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    Achievement.objects.update(status="fulfilled")
    retracted(ids[0])
    work()
    (pillow,) = awards(ALICE)
    assert (pillow.status, pillow.needs_review) == ("fulfilled", True)
    logged(ALICE, [1])
    work()
    assert not awards(ALICE)[0].needs_review


def test_repeated_every_full_run_is_awarded():
    offer(repeat="every")
    member(ALICE)
    logged(ALICE, range(1, 10))
    work()
    assert [days(each)[0] for each in awards(ALICE)] == [1]
    logged(ALICE, [10])
    work()
    assert [days(each)[0] for each in awards(ALICE)] == [1, 6]


def test_two_runs_joined_by_a_late_day_are_one_award():
    offer(repeat="every")
    member(ALICE)
    logged(ALICE, [1, 2, 3, 4, 6, 7, 8, 9])
    work()
    logged(ALICE, [5])
    work()
    assert [each.ordinal for each in awards(ALICE)] == [1]


def test_a_member_gets_at_most_the_maximum():
    offer(BIRTH, slug="birth", is_sensitive=True, repeat="every", max_per_member=2)
    member(ALICE)
    for day in range(1, 5):
        happened(ALICE, noon(day), "birth_reported")
        work()
    assert len(awards(ALICE)) == 2


@pytest.mark.parametrize(("second", "count"), [(30, 1), (31, 2)])
def test_awards_are_the_cool_down_apart(second, count):
    offer({"structure": "single", "event": "checkup_completed"}, repeat="every", cool_down_days=30)
    member(ALICE)
    for day in (1, second):
        happened(ALICE, noon(day), "checkup_completed")
        work()
    assert len(awards(ALICE)) == count


def test_a_late_event_may_move_every_award_after_it():
    offer({"structure": "single", "event": "checkup_completed"}, repeat="every", cool_down_days=10)
    member(ALICE)
    for day in (10, 20):
        happened(ALICE, noon(day), "checkup_completed")
        work()
    happened(ALICE, noon(5), "checkup_completed")
    work()
    assert [each.effective_on.day for each in awards(ALICE)] == [5, 20]


def test_one_event_may_pass_a_threshold_many_times_but_not_beyond_the_maximum():
    offer(WALKS, repeat="every", max_per_member=3)
    member(ALICE)
    happened(ALICE, noon(1), "activity_tracked", steps=10**12)
    work()
    assert len(awards(ALICE)) == 3


def test_members_under_way_finish_on_their_version():
    incentive = offer()
    member(ALICE)
    member(BOB)
    logged(ALICE, [1, 2])
    work()
    version(incentive, {**STREAK, "days": 7}, now=noon(3))
    logged(ALICE, [3, 4, 5])
    logged(BOB, range(3, 10))
    work()
    assert [(each.rule.number, len(each.days)) for each in awards(ALICE)] == [(1, 5)]
    assert [(each.rule.number, len(each.days)) for each in awards(BOB)] == [(2, 7)]


def test_a_late_event_may_show_that_somebody_was_under_way():
    incentive = offer()
    version(incentive, {**STREAK, "days": 7}, now=noon(3))
    member(ALICE)
    logged(ALICE, [3, 4, 5, 6])
    work()
    assert Progress.objects.get().rule.number == 2
    logged(ALICE, [2])
    work()
    assert Progress.objects.get().rule.number == 1
    assert [each.rule.number for each in awards(ALICE)] == [1]


def test_what_happened_before_the_programme_was_published_counts_from_its_start():
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    offer(within=programme(starts_on=date(2026, 6, 2)))
    work()
    first = date(2026, 6, 2).toordinal()
    assert Progress.objects.get().state["runs"] == [[first, first + 3]]
    logged(ALICE, [6])
    work()
    assert days(awards(ALICE)[0]) == [2, 3, 4, 5, 6]


def test_other_dates_of_a_programme_are_counted_anew():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    found = Programme.objects.get()
    found.starts_on = date(2026, 6, 3)
    save_programme(found)
    work()
    assert [each.status for each in awards(ALICE)] == ["reversed"]
    assert Progress.objects.get().last_counted_on == date(2026, 6, 5)


def test_without_eligibility_nothing_stays():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    Eligibility.objects.all().delete()
    work()
    assert not Progress.objects.exists()
    assert [each.status for each in awards(ALICE)] == ["reversed"]


def test_periods_that_come_change_and_go_by_plain_sql_count_like_any_other():
    offer()
    logged(ALICE, range(1, 6))
    work()

    def run(statement):
        with connection.cursor() as cursor:
            cursor.execute(statement, {"employer": employer().pk, "user": ALICE})
        work()
        return [each.status for each in awards(ALICE)]

    begin = """
    INSERT INTO incentives_eligibility (employer_id, user_id, starts_on)
    VALUES (%(employer)s, %(user)s, '2026-01-01')
    """
    assert run(begin) == ["granted"]
    assert run("UPDATE incentives_eligibility SET starts_on = '2026-06-02'") == ["reversed"]
    assert run("UPDATE incentives_eligibility SET starts_on = '2026-06-01'") == ["granted"]
    assert run("DELETE FROM incentives_eligibility") == ["reversed"]


def test_a_row_that_names_no_zone_counts_in_the_next_best_and_stops_nobody():
    offer()
    member(ALICE, timezone="Mars/Base")
    for day in range(1, 6):
        happened(ALICE, f"2026-06-0{day}T03:00:00Z", zone="America")
    work()
    # In the employer's New York it is the evening before.
    assert days(awards(ALICE)[0]) == [31, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("at", "data"),
    [("infinity", "{}"), ("30000-01-01T00:00Z", "{}"), ("0500-01-01T00:00Z", "{}")]
    + [("2026-06-01T00:00Z", data) for data in ["[]", "5", "null", '"x"']],
)
def test_an_event_that_no_worker_could_read_is_refused_by_the_database(at, data):
    values = ["x", "x", ALICE, "health_data_logged", at, "", data]
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(log.RECORD_ONE, values)


@pytest.mark.parametrize(
    ("starts_on", "ends_on"), [("-infinity", None), ("2026-01-01", "infinity")]
)
def test_a_period_without_end_says_so_with_an_empty_end(starts_on, ends_on):
    insert = """
    INSERT INTO incentives_eligibility (employer_id, user_id, starts_on, ends_on)
    VALUES (%s, %s, %s, %s)
    """
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(insert, [employer().pk, ALICE, starts_on, ends_on])


def test_events_loaded_by_plain_sql_count_like_any_other():
    offer()
    member(ALICE)
    Event.objects.bulk_create(
        Event(
            owner="import", event_id=f"{day}", user_id=ALICE, type="health_data_logged",
            occurred_at=noon(day),
        )
        for day in range(1, 6)
    )  # fmt: skip
    work()
    assert len(awards(ALICE)) == 1


def test_a_batch_of_any_size_takes_as_many_queries(django_assert_max_num_queries):
    offer()
    shard = None
    for number in range(1, 400):
        user_id = str(number)
        member(user_id)
        logged(user_id, range(1, 6))
    for shard in evaluation.busy_shards():
        with django_assert_max_num_queries(20):
            assert evaluation.evaluate(shard=shard, now=noon(9)) >= 5
    assert Achievement.objects.count() == 399


def test_what_comes_in_while_the_log_is_read_is_not_counted_twice(monkeypatch):
    offer({"structure": "single", "event": "checkup_completed"}, repeat="every")
    member(ALICE)
    happened(ALICE, noon(1), "checkup_completed")
    work()
    retracted(happened(ALICE, noon(2), "checkup_completed"))
    really = evaluation.World.of

    def meanwhile(users):
        monkeypatch.undo()
        happened(ALICE, noon(3), "checkup_completed")
        return really(users)

    monkeypatch.setattr(evaluation.World, "of", meanwhile)
    work()
    assert Progress.objects.get().reached == 2
    assert [each.effective_on.day for each in awards(ALICE)] == [1, 3]


RULES = [
    (STREAK, {}),
    (STREAK, {"repeat": "every"}),
    ({**STREAK, "days": 2}, {"repeat": "every", "cool_down_days": 4}),
    ({"structure": "single", "event": "health_data_logged"}, {"repeat": "every"}),
    (
        {
            "structure": "times_in_window",
            "event": "health_data_logged",
            "times": 3,
            "window": 4,
        },
        {"repeat": "every", "max_per_member": 2},
    ),
    ({"structure": "distinct_days", "event": "health_data_logged", "days": 3}, {"repeat": "every"}),
    (WALKS, {"repeat": "every"}),
    (
        {"structure": "all_of", "parts": [WALKS, {**STREAK, "days": 3}]},
        {"repeat": "every"},
    ),
    ({"structure": "any_of", "parts": [WALKS, STREAK]}, {}),
]
ZONES = ["", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 24 * 12 - 1),
        st.sampled_from(["health_data_logged", "activity_tracked"]),
        st.sampled_from(ZONES),
        st.integers(1, 80),
        st.sampled_from(["", "", "", "retracted at once", "retracted later"]),
    ),
    min_size=1,
    max_size=18,
)


@pytest.fixture
def many_offers():
    within = programme()
    for number, (structure, terms) in enumerate(RULES):
        incentive = offer(structure, slug=f"i{number}", within=within, **terms)
        if number % 2:
            # For those who begin on the fourth day or later.
            version(incentive, {**STREAK, "days": 3}, now=noon(4) - timedelta(hours=16))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS, st.randoms(use_true_random=False), st.sampled_from([1, 3, 60]))
def test_any_order_with_retractions_ends_as_the_log_in_order(many_offers, events, order, kept):
    with patch("incentives.structures.block.KEPT_DAYS", kept):
        expect_order_not_to_matter(events, order)


def expect_order_not_to_matter(events, order):
    user_id, in_order = str(uuid.uuid4()), str(uuid.uuid4())
    member(user_id)
    member(in_order)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    shuffled = events[:]
    order.shuffle(shuffled)
    later = []
    for hour, kind, zone, steps, fate in shuffled:
        at = start + timedelta(hours=hour)
        id = happened(user_id, at, kind, zone=zone, **({"steps": steps} if steps else {}))
        if fate == "retracted at once":
            retracted(id)
        elif fate:
            later.append(id)
        if order.random() < 0.4:
            work()
        if later and order.random() < 0.2:
            retracted(later.pop())
    work()
    retracted(*later)
    work()
    for hour, kind, zone, steps, fate in sorted(events):
        if not fate:
            happened(in_order, start + timedelta(hours=hour), kind, zone=zone, steps=steps)
            if order.random() < 0.4:
                work()
    work()
    assert picture(user_id) == picture(in_order) == recounted(user_id)


def test_a_thousand_shuffled_days_are_one_streak():
    offer({**STREAK, "days": 700}, within=programme(starts_on=date(2025, 1, 1)))
    member(CHARLIE)
    numbers = list(range(-200, 500))
    random.Random(5).shuffle(numbers)
    logged(CHARLIE, numbers)
    work()
    assert len(awards(CHARLIE)) == 1


@pytest.mark.parametrize("counted", [[], [1]])
def test_plans_made_for_hardly_any_events_serve_many(counted):
    def tuples_read():
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class"
            " WHERE relname ~ '^incentives_(event|waiting)'"
        )
        return cursor.fetchone()[0]

    many = 1000
    offer()
    member(ALICE)
    logged(ALICE, counted)
    work()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE incentives_event, incentives_waiting")
        # The plans of this session are made anew after that, and for several before for any.
        for day in range(1, 9):
            retracted(*logged(ALICE, [day]))
            work()
        before = tuples_read()
        # Alice has to be counted anew, of the others each has one.
        for whose in (f"'{ALICE}'", "n::text"):
            cursor.execute(
                "INSERT INTO incentives_event (owner, event_id, user_id, type, occurred_at)"
                f" SELECT {whose}, n, {whose}, 'health_data_logged',"
                " '2026-06-01T16:00Z'::timestamptz - n * interval '1 minute'"
                " FROM generate_series(1, %s::int) n",
                [many],
            )
            retracted(*logged(ALICE, [9]))
            work()
        # It takes 22 for each; all with all would take hundreds.
        assert tuples_read() - before < 100 * many
    assert picture(ALICE) == recounted(ALICE)
