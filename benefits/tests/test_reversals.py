"""Taking a use back: as if it had never been, but for the trace of who did it, when and why."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from benefits import activity, idleness, popularity, services
from benefits.models import BenefitUsage, Reversal
from benefits.tests.factories import NOW, benefit, person, record, used
from common.problems import NotFound
from common.tests.races import at_once

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)


@pytest.fixture
def boss(db):
    return User.objects.create_user("boss", is_staff=True)


@pytest.fixture
def coffee(db):
    return benefit(title="Coffee")


def reverse(boss, use=None, reason="Rung up twice"):
    use = use or BenefitUsage.objects.latest("usage_timestamp")
    return services.reverse_use(id=use.pk, by=boss, reason=reason, now=NOW)


def test_the_benefit_is_available_again_and_no_figure_counts_it(boss, coffee, till, at_now):
    alice = person()
    used(coffee, NOW - 30 * DAY, NOW - 15 * DAY)
    recorded = record(till, coffee, alice)
    assert record(till, coffee, alice).status_code == 409
    reverse(boss)
    assert popularity.top_of(coffee.venue_id, now=NOW) == [(coffee.pk, 2)]
    [(_, periods)] = idleness.inactivity(venue=coffee.venue_id, now=NOW)
    assert periods[-1] == (NOW - 15 * DAY, NOW)
    assert list(activity.discrepancies()) == []
    again = record(till, coffee, alice)
    assert again.status_code == 201
    assert again.json()["id"] != recorded.json()["id"]


def test_the_trace_says_all_of_it_and_outlives_what_it_speaks_of(boss, coffee):
    alice = person()
    used(coffee, NOW)
    use = BenefitUsage.objects.get()
    reverse(boss, reason="  Rung up twice ")
    coffee.venue.name, venue = "Renamed", coffee.venue
    venue.save()
    kept = (alice.pk, coffee.pk, venue.pk)
    coffee.delete()
    alice.delete()
    trace = Reversal.objects.get()
    assert (trace.person_id, trace.benefit_id, trace.venue_id) == kept
    assert (trace.person_name, trace.benefit_title, trace.venue_name) == (
        "Alice",
        "Coffee",
        "Library",
    )
    assert (trace.usage_id, trace.usage_timestamp) == (use.pk, NOW)
    assert (trace.reversed_by, trace.reversed_at, trace.reason) == (boss, NOW, "Rung up twice")


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_happens(boss, coffee, reason):
    used(coffee, NOW)
    with pytest.raises(services.NoReason):
        reverse(boss, reason=reason)
    assert BenefitUsage.objects.exists()
    assert not Reversal.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_reverse_it_once(boss, coffee):
    used(coffee, NOW)
    use = BenefitUsage.objects.get()
    outcomes = at_once([lambda: reverse(boss, use)] * 20)
    assert sum(isinstance(each, Reversal) for each in outcomes) == 1
    assert sum(isinstance(each, NotFound) for each in outcomes) == 19
    assert Reversal.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_happens_whole_or_not_at_all(boss, coffee, monkeypatch):
    used(coffee, NOW)

    def fail(use):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(BenefitUsage, "delete", fail)
        with pytest.raises(RuntimeError):
            reverse(boss)
    assert BenefitUsage.objects.exists()
    assert not Reversal.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE benefits_reversal SET reason = 'other'",
        "DELETE FROM benefits_reversal",
        "TRUNCATE benefits_reversal",
    ],
)
def test_the_trace_stays_as_it_is(boss, coffee, statement):
    used(coffee, NOW)
    reverse(boss)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Reversal.objects.get().reason == "Rung up twice"


def test_the_key_of_a_reversed_use_still_tells_what_was_recorded(boss, coffee, till, at_now):
    alice = person()
    first = record(till, coffee, alice, key="k")
    reverse(boss)
    again = record(till, coffee, alice, key="k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert not BenefitUsage.objects.exists()
