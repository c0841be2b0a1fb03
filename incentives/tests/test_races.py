"""Many at once: one member's events, two workers, a budget's last award."""

import threading
import time
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from common.tests.races import at_once
from conftest import ALICE
from incentives import evaluation
from incentives.models import Achievement, Event, Programme, Waiting
from incentives.tests.worlds import (
    awards,
    happened,
    logged,
    member,
    noon,
    offer,
    picture,
    programme,
    recounted,
    retracted,
    work,
)

pytestmark = pytest.mark.django_db(transaction=True)


def once():
    return evaluation.evaluate_all(now=timezone.now(), deadline=float("inf"))


def test_fifty_events_of_one_member_at_once_are_all_counted():
    offer(repeat="every")
    member(ALICE)
    done = at_once([partial(happened, ALICE, noon(day)) for day in range(1, 51)])
    assert len(set(done)) == 50
    at_once([once] * 4)
    work()
    assert [each.ordinal for each in awards(ALICE)] == list(range(1, 11))
    assert picture(ALICE) == recounted(ALICE)


def test_workers_meanwhile_neither_lose_nor_repeat_anything():
    offer(repeat="every", coins=10, reward="10 coins")
    people = [str(number) for number in range(1, 21)]
    for user_id in people:
        member(user_id)
    is_over = threading.Event()

    def report(user_id):
        ids = [happened(user_id, noon(day)) for day in (3, 1, 2, 5, 4, 9, 7, 10, 6, 8)]
        retracted(ids[0])
        happened(user_id, noon(3))

    def keep_working():
        while not is_over.is_set():
            once()
            time.sleep(0.01)

    def report_all(some):
        for user_id in some:
            report(user_id)

    def finish():
        answers = at_once([partial(report_all, people[part::4]) for part in range(4)])
        is_over.set()
        return answers

    answers = at_once([finish, keep_working, keep_working])
    assert answers == [[None] * 4, None, None]
    work()
    for user_id in people:
        assert picture(user_id) == recounted(user_id)
    held = Achievement.objects.filter(status="fulfilled")
    assert held.count() == 40
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(amount) FROM wallet_entry")
        assert cursor.fetchone() == (40, 400)


def test_of_two_for_whom_one_award_is_left_one_gets_it():
    offer(within=programme(budget=50), cost=45)
    people = [str(number) for number in range(1, 13)]
    for user_id in people:
        member(user_id)
        logged(user_id, range(1, 6))
    at_once([once] * 4)
    work()
    statuses = sorted(each.status for user_id in people for each in awards(user_id))
    assert statuses == ["capped"] * 11 + ["granted"]
    assert Programme.objects.get().spent == 45


def test_a_shard_has_one_worker_at_a_time():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    (shard,) = evaluation.busy_shards()
    done = at_once([lambda: evaluation.evaluate(shard=shard, now=timezone.now())] * 6)
    assert sorted(done)[-1] == 5
    assert sum(done) == 5
    assert len(awards(ALICE)) == 1


def test_a_retraction_while_the_event_is_evaluated_is_not_lost():
    offer({"structure": "single", "event": "checkup_completed"})
    member(ALICE)
    for number in range(15):
        id = happened(ALICE, noon(number + 1), "checkup_completed")
        at_once([once, partial(retracted, id)])
    work()
    assert Event.objects.filter(retracted_at=None).count() == 0
    assert all(each.status == "reversed" for each in awards(ALICE))
    assert not Waiting.objects.exists()
