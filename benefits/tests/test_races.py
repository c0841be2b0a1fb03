"""Recordings at the same moment, in real threads: one wins, and nobody waits for ever."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from benefits import activity
from benefits.models import BenefitUsage
from benefits.tests.factories import benefit, iso, person, record, used
from common.models import KeyedAnswer
from common.tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(hours=24)


def statuses(calls):
    answers = at_once(calls)
    return Counter(getattr(each, "status_code", each) for each in answers)


def recording(what, who, **more):
    return partial(record, APIClient(), what, who, **more)


def test_of_fifty_first_uses_one_is_recorded():
    alice, coffee = person(), benefit()
    assert statuses([recording(coffee, alice)] * 50) == {201: 1, 409: 49}
    assert BenefitUsage.objects.count() == 1
    assert list(activity.discrepancies()) == []


def test_also_where_earlier_uses_have_expired():
    alice, coffee = person(), benefit()
    used(coffee, *(timezone.now() - n * DAY for n in range(1, 5)))
    assert statuses([recording(coffee, alice)] * 50) == {201: 1, 409: 49}


def test_fifty_persons_use_one_benefit():
    coffee = benefit()
    persons = [person(str(number)) for number in range(50)]
    assert statuses([recording(coffee, each) for each in persons]) == {201: 50}
    assert list(activity.discrepancies()) == []


def test_one_person_uses_fifty_benefits():
    alice = person()
    assert statuses([recording(benefit(), alice) for _ in range(50)]) == {201: 50}


def test_those_that_leave_each_other_no_room_leave_room_for_one():
    alice, coffee, now = person(), benefit(), timezone.now()
    moments = [now - 2 * DAY + n * DAY / 50 for n in range(50)]
    calls = [recording(coffee, alice, usageTimestamp=iso(each)) for each in moments]
    assert statuses(calls) == {201: 1, 409: 49}


def test_those_exactly_one_recurrence_apart_are_all_recorded():
    alice, coffee, now = person(), benefit(), timezone.now()
    moments = [now - n * DAY for n in range(30)]
    calls = [recording(coffee, alice, usageTimestamp=iso(each)) for each in moments]
    assert statuses(calls) == {201: 30}
    assert list(activity.discrepancies()) == []


def test_one_sent_twenty_times_with_one_key_is_one():
    alice, coffee = person(), benefit()
    assert statuses([recording(coffee, alice, key="k")] * 20) == {201: 1, 200: 19}
    assert BenefitUsage.objects.count() == KeyedAnswer.objects.count() == 1


def test_each_of_twenty_with_a_key_of_its_own_is_refused_but_one():
    alice, coffee = person(), benefit()
    calls = [recording(coffee, alice, key=f"k{number}") for number in range(20)]
    assert statuses(calls) == {201: 1, 409: 19}
    assert KeyedAnswer.objects.count() == 1


def test_recordings_and_one_who_loads_many_rows_wait_for_each_other_without_deadlock():
    """The loader holds what the recordings want, then wants more of the same."""
    alice, bob = person(), person("Bob")
    benefits = [benefit(title=str(number)) for number in range(4)]
    now = timezone.now()

    def load():
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for number in range(40):
                cursor.execute(
                    "INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp)"
                    " VALUES (%s, %s, %s)",
                    [bob.pk, benefits[number % 4].pk, now - (number % 7) * DAY],
                )
            cursor.execute("COMMIT")

    calls = [
        recording(each, alice, usageTimestamp=iso(now - days * DAY))
        for each in benefits
        for days in range(5)
    ]
    outcomes = at_once([*calls, load, load])
    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert list(activity.discrepancies()) == []
    assert BenefitUsage.objects.filter(person=alice).count() == 20
