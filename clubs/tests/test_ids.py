"""Ids that others bring along and those that are given here keep out of each other's way."""

from itertools import count, islice

import pytest
from django.core.management.color import no_style
from django.db import connection
from django.utils import timezone

from clubs import services
from clubs.models import Club, ClubStatusChange, StatusChange
from clubs.tests.factories import ACTIVE, CLOSED, PAUSED, make_club, make_subscription, sql

LARGEST_IN_JSON = 2**53 - 1
pytestmark = pytest.mark.django_db


def largest_id():
    tables = (Club, ClubStatusChange, StatusChange)
    return max(table.objects.latest("id").pk for table in tables)


@pytest.fixture
def world():
    return make_club(), make_subscription()


def write_beside(world, theirs):
    """Rows of ours and rows with their ids, in turn."""
    club, one = world
    for id in theirs:
        sql("INSERT INTO club (id, name) VALUES (%s, 'Theirs')", id)
        sql("INSERT INTO club_status_history (id, club_id, club_status_id, effect_date) "
            "VALUES (%s, %s, 1, now())", id, club.pk)  # fmt: skip
        sql("INSERT INTO subscription_status_history (id, subscription_id, status_id, effect_date) "
            "VALUES (%s, %s, 1, now())", id, one.pk)  # fmt: skip
        make_club()
        services.change_club_status(club_id=club.pk, status_id=CLOSED)
        for status in (ACTIVE, PAUSED):
            services.change_status(subscription_id=one.pk, status_id=status)


@pytest.mark.parametrize("first", [1, 1000, 2_000_000_000, 1_795_000_000_000])
def test_whoever_counts_their_ids_may_go_on_counting(world, first):
    write_beside(world, islice(count(first), 10))


def test_whoever_counts_on_from_the_largest_there_is_may_go_on_counting(world):
    write_beside(world, islice(count(largest_id() + 1), 10))


def test_ids_stay_what_they_are_to_a_reader_of_json(world):
    before = largest_id()
    write_beside(world, [2**63 - 1, 2**53, LARGEST_IN_JSON])
    ours = StatusChange.objects.filter(pk__lt=LARGEST_IN_JSON)
    assert before < ours.latest("id").pk < before + 1000


def test_loaded_fixtures_do_not_move_ours_among_theirs(world):
    sql("INSERT INTO club (id, name) VALUES (1, 'Theirs')")
    with connection.cursor() as cursor:
        # What loaddata ends with.
        for statement in connection.ops.sequence_reset_sql(no_style(), [Club, StatusChange]):
            cursor.execute(statement)
    write_beside(world, islice(count(2), 10))


def test_decisions_of_one_moment_count_in_the_order_they_were_made():
    one, now = make_subscription(), timezone.now()
    for status in (ACTIVE, PAUSED, ACTIVE, PAUSED):
        services.change_status(subscription_id=one.pk, status_id=status, clock=lambda: now)
        assert services.status_at(StatusChange.objects.filter(subscription=one), now) == status
