"""From an achievement to its partner without anybody's help, also when workers die."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from standardwebhooks import Webhook

from common.tests.running import of_this_database, wait_for
from common.tests.workers import work
from conftest import ALICE, BOB
from incentives.models import Delivery, FeedEntry, Partner, Programme
from incentives.partners import deliveries, endpoints, feed, tasks
from incentives.partners.tests.factories import NOON, earn, make_partner, make_programme, make_rule
from incentives.partners.tests.receiver import Receiver, receiving, says, takes_its_time
from incentives.tests.worlds import awards, happened, member, noon

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rule(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    return make_rule(make_programme(make_partner()))


def endpoint_at(receiver: Receiver, path: str = ""):
    url = f"{receiver.url}{path}"
    return endpoints.add_endpoint(partner=Partner.objects.get(), url=url, now=NOON)


def jobs(status="todo"):
    found = ProcrastinateJob.objects.filter(task_name="incentives.deliver", status=status)
    return list(found.values_list("args", flat=True))


def test_a_look_publishes_and_a_job_delivers(rule):
    with receiving() as receiver:
        endpoint, secret = endpoint_at(receiver)
        earn(rule, ALICE)
        tasks.tell_partners(timestamp=0)
        assert jobs() == [{"endpoint_id": endpoint.pk}]
        work()
        (received,) = receiver.received
        Webhook(secret).verify(received.body, received.headers)
    assert FeedEntry.objects.count() == 1
    assert Delivery.objects.get().state == "delivered"
    assert not deliveries.endpoints_with_work(now=timezone.now())


def test_looks_that_come_while_a_job_waits_make_no_second_one(rule):
    with receiving() as receiver:
        endpoint_at(receiver)
        for user in [ALICE, BOB]:
            earn(rule, user)
            tasks.tell_partners(timestamp=0)
        assert len(jobs()) == 1
        work()
        assert len(receiver.received) == 2


def test_a_failure_is_a_note_and_not_a_failed_job(rule):
    with receiving(says(500)) as receiver:
        endpoint_at(receiver)
        earn(rule, ALICE)
        tasks.tell_partners(timestamp=0)
        work()
    assert jobs("failed") == []
    assert Delivery.objects.get().tries == 1
    assert not deliveries.endpoints_with_work(now=timezone.now())  # not before it is due


def test_it_is_looked_every_second():
    periodic = {each.task.name: each.cron for each in app.periodic_registry.periodic_tasks.values()}
    assert periodic["incentives.tell_partners"] == "* * * * * *"


KILLED = """
import django, sys
django.setup()
from incentives.partners import deliveries
deliveries.deliver_due(int(sys.argv[1]))
"""


def test_killed_in_the_middle_of_a_try_it_is_sent_again_with_the_same_id(rule):
    with receiving(takes_its_time(30, says(200)), says(200)) as receiver:
        endpoint, _ = endpoint_at(receiver)
        earn(rule, ALICE)
        feed.publish_all(now=NOON)
        sender = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(endpoint.pk)],
            env=of_this_database(WEBHOOKS_TO_LOOPBACK="1"),
        )
        wait_for(lambda: receiver.received)
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.tries) == ("pending", 1)
        assert deliveries.deliver_due(endpoint.pk) == 0
        later = delivery.due_at
        assert deliveries.deliver_due(endpoint.pk, clock=lambda: later) == 1
        first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert json.loads(first.body) == json.loads(second.body)
    assert Delivery.objects.get().state == "delivered"


WORKER = """
import django
django.setup()
from common.processes import worker
worker()
"""


@pytest.fixture
def worker():
    """A real one, on this database."""
    environment = of_this_database(WEBHOOKS_TO_LOOPBACK="1")
    process = subprocess.Popen([sys.executable, "-c", WORKER], env=environment)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_receivers_that_do_not_answer_keep_nothing_else_waiting(rule, worker):
    reward = make_rule(rule.incentive.programme, reward_code="")
    Programme.objects.update(published_at=NOON)
    member(BOB)
    with receiving(takes_its_time(30, says(200))) as receiver:
        for number in range(8):
            endpoint_at(receiver, f"/{number}")
        earn(rule, ALICE)
        wait_for(lambda: len(receiver.received) >= 4)
        begun = time.monotonic()
        happened(BOB, noon(1), "birth_reported")
        wait_for(lambda: awards(BOB, reward.incentive.slug))
        assert time.monotonic() - begun < 5


def test_a_worker_that_is_told_to_end_delivers_first_what_it_began_to(rule, worker):
    with receiving(takes_its_time(2, says(200))) as receiver:
        endpoint_at(receiver)
        earn(rule, ALICE)
        wait_for(lambda: receiver.received)
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    assert Delivery.objects.get().state == "delivered"
    assert len(jobs("succeeded")) == 1
    assert len(jobs("doing")) == 0
