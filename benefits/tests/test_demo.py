"""The demo world: whole, true to the rules, and the same whenever it is loaded."""

from datetime import timedelta
from itertools import groupby, pairwise

import pytest
from django.db import connection
from django.utils import timezone

from benefits import activity, demo, idleness, popularity
from benefits.models import Benefit, BenefitUsage, Venue
from benefits.recurrence import Recurrence
from benefits.tests.factories import NOW, benefit, person, record

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(set_clock):
    set_clock(NOW + timedelta(hours=10))
    assert demo.load()


def test_a_year_of_uses_ends_yesterday(world):
    moments = BenefitUsage.objects.values_list("usage_timestamp", flat=True)
    days = {moment.date() for moment in moments}
    assert max(days) == NOW.date() - timedelta(days=1)
    assert min(days) == NOW.date() - timedelta(days=365)
    assert len(moments) > 10_000
    assert list(activity.discrepancies()) == []


def test_there_are_skew_ties_silences_and_a_venue_without_uses(world):
    tops = popularity.top(now=timezone.now())
    assert len(tops) == 12
    uses = sorted(best[0].uses for _, best in tops if best)
    assert len(uses) < 12
    assert uses[-1] > 20 * uses[0]
    assert any(a.uses == b.uses for _, best in tops for a, b in pairwise(best))
    periods = [idleness.inactivity(venue=venue, now=timezone.now()) for venue, _ in tops]
    assert sum(map(bool, periods)) > 8
    ends = {until for each in periods for _, found in each for _, until in found}
    assert timezone.now() in ends


def test_nobody_uses_anything_twice_within_one_recurrence(world):
    recurrences = dict(Benefit.objects.values_list("pk", "recurrence"))
    uses = BenefitUsage.objects.order_by("person", "benefit", "usage_timestamp")
    rows = uses.values_list("person", "benefit", "usage_timestamp")
    for (_, what), mine in groupby(rows, key=lambda row: row[:2]):
        span = Recurrence(recurrences[what]).span
        assert all(b[2] - a[2] >= span for a, b in pairwise(mine))


def test_it_is_the_same_each_time(world):
    first = list(BenefitUsage.objects.order_by("id").values_list())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE venue, person, benefit, benefit_usage")
    assert demo.load()
    assert list(BenefitUsage.objects.order_by("id").values_list()) == first


def test_people_who_have_venues_keep_theirs_alone():
    Venue.objects.create(name="Ours")
    assert not demo.load()
    assert Venue.objects.count() == 1


def test_ids_counted_from_one_are_free_and_later_ones_follow(world, till):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO venue VALUES (1, 'Own')")
        cursor.execute("INSERT INTO person VALUES (1, 'Own')")
        cursor.execute("INSERT INTO benefit VALUES (1, 1, 'Own', 'day')")
        cursor.execute("INSERT INTO benefit_usage VALUES (1, 1, 1, now())")
    assert benefit().pk > demo.FIRST_ID
    assert record(till, benefit(), person()).json()["id"] > demo.FIRST_ID
