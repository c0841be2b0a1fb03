"""A batch on loan: what fails, dies, sleeps or is taken over costs the others nothing."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import ALICE, BOB, CHARLIE
from incentives.models import Delivery, DeliveryAttempt, FeedEntry, Partner
from incentives.partners import deliveries, endpoints, feed, leasing
from incentives.partners.leasing import Outcome
from incentives.partners.tests.factories import NOON, earn, make_partner, make_programme, make_rule
from incentives.partners.tests.receiver import receiving, says

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    with receiving() as found:
        yield found


@pytest.fixture
def endpoint(receiver):
    """With three messages that wait for it."""
    rule = make_rule(make_programme(make_partner()))
    made, _ = endpoints.add_endpoint(partner=Partner.objects.get(), url=receiver.url, now=NOON)
    for user in [ALICE, BOB, CHARLIE]:
        earn(rule, user)
    feed.publish_all(now=NOON)
    return made


def in_order():
    return Delivery.objects.order_by("entry__sequence")


def send(batch, *, started=None):
    started = time.monotonic() if started is None else started
    return deliveries.send(batch, started=started, clock=timezone.now)


def test_what_stands_behind_a_failure_goes_back_untried_to_its_place(endpoint, receiver):
    receiver.behave(says(204), says(500))
    assert deliveries.deliver_due(endpoint.pk) == 2
    assert list(in_order().values_list("state", "tries")) == [
        ("delivered", 1),
        ("pending", 1),
        ("pending", 0),
    ]
    assert in_order().last().due_at == NOON
    outcomes = DeliveryAttempt.objects.order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["204", "500"]
    assert all(each.milliseconds is not None for each in DeliveryAttempt.objects.all())


def test_a_failing_endpoint_gets_one_at_a_time(endpoint, receiver):
    endpoint.failures = 1
    endpoint.save()
    assert len(leasing.lease(endpoint.pk, now=NOON).tries) == 1


def test_when_time_is_up_the_rest_goes_back(endpoint, receiver, monkeypatch):
    monkeypatch.setattr(deliveries, "SECONDS_OF_A_BATCH", -1)
    batch = leasing.lease(endpoint.pk, now=NOON)
    assert send(batch) == 1
    leasing.settle(batch, now=NOON)
    assert list(in_order().values_list("tries", flat=True)) == [1, 0, 0]
    assert DeliveryAttempt.objects.count() == 1
    assert len(leasing.lease(endpoint.pk, now=NOON).tries) == 2


def test_who_slept_through_its_lease_sends_nothing(endpoint, receiver):
    batch = leasing.lease(endpoint.pk, now=NOON)
    assert send(batch, started=time.monotonic() - leasing.LEASE.total_seconds()) == 0
    assert receiver.received == []


def test_what_is_on_loan_is_nobody_elses(endpoint, receiver):
    assert len(leasing.lease(endpoint.pk, now=NOON).tries) == 3
    assert leasing.lease(endpoint.pk, now=NOON) is None


def test_after_a_kill_each_goes_alone(endpoint, receiver):
    leasing.lease(endpoint.pk, now=NOON)  # and its worker is gone
    later = NOON + leasing.LEASE
    for tries in [[2, 1, 1], [2, 2, 1], [2, 2, 2]]:
        assert len(leasing.lease(endpoint.pk, now=later).tries) == 1
        assert list(in_order().values_list("tries", flat=True)) == tries


@pytest.mark.parametrize("outcome", [Outcome("500"), Outcome("410"), None])
def test_who_lost_its_lease_changes_nothing_but_its_own_note(endpoint, receiver, outcome):
    slow = leasing.lease(endpoint.pk, now=NOON)
    later = NOON + leasing.LEASE
    taken = leasing.lease(endpoint.pk, now=later)
    slow.tries[0].outcome = outcome
    leasing.settle(slow, now=later)
    first = in_order().first()
    assert (first.state, first.tries, first.due_at) == ("pending", 2, taken.until)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.failures) == ("active", 0)


def test_a_success_counts_also_when_its_lease_is_over(endpoint, receiver):
    slow = leasing.lease(endpoint.pk, now=NOON)
    later = NOON + leasing.LEASE
    leasing.lease(endpoint.pk, now=later)
    slow.tries[0].outcome = Outcome("204")
    leasing.settle(slow, now=later)
    assert in_order().first().state == "delivered"


def test_what_was_replayed_goes_again_whatever_a_late_worker_reports(endpoint, receiver):
    slow = leasing.lease(endpoint.pk, now=NOON)
    in_order().update(state="dead")
    later = NOON + leasing.LEASE
    assert deliveries.replay(in_order(), now=later) == 3
    slow.tries[0].outcome = Outcome("204")
    leasing.settle(slow, now=later)
    first = in_order().first()
    assert (first.state, first.tries, first.due_at) == ("pending", 0, later)


def test_retired_in_the_middle_the_rest_stays_dropped(endpoint, receiver):
    batch = leasing.lease(endpoint.pk, now=NOON)
    batch.tries[0].outcome = Outcome("204")
    endpoints.retire_endpoint(id=endpoint.pk)
    leasing.settle(batch, now=NOON)
    states = list(in_order().values_list("state", flat=True))
    assert states == ["delivered", "dropped", "dropped"]


def test_disabled_in_the_middle_it_stays_so_and_keeps_its_queue(endpoint, receiver):
    batch = leasing.lease(endpoint.pk, now=NOON)
    batch.tries[0].outcome = Outcome("204")
    endpoints.disable_endpoint(id=endpoint.pk, reason="Asked for.")
    leasing.settle(batch, now=NOON)
    endpoint.refresh_from_db()
    assert endpoint.state == "disabled"
    assert in_order().filter(state="pending", tries=0, due_at=NOON).count() == 2


@pytest.mark.parametrize("status", ["500", "410"])
def test_what_the_old_address_answers_is_not_held_against_the_new_one(endpoint, receiver, status):
    batch = leasing.lease(endpoint.pk, now=NOON)
    batch.tries[0].outcome = Outcome(status)
    with receiving() as better:
        endpoints.move_endpoint(id=endpoint.pk, url=better.url, now=NOON)
        leasing.settle(batch, now=NOON)
        endpoint.refresh_from_db()
        assert (endpoint.state, endpoint.failures, endpoint.paused_until) == ("active", 0, None)
        deliveries.deliver_due(endpoint.pk)
        assert len(better.received) >= 2


def test_a_batch_costs_as_many_queries_as_one(endpoint, receiver, django_assert_num_queries):
    with django_assert_num_queries(18):
        deliveries.deliver_due(endpoint.pk)
    assert in_order().filter(state="delivered").count() == 3


def test_what_was_delivered_long_ago_is_forgotten_and_nothing_else(endpoint, receiver, monkeypatch):
    monkeypatch.setattr(deliveries, "FORGOTTEN_AT_ONCE", 1)
    deliveries.deliver_due(endpoint.pk)
    now = NOON + deliveries.KEPT
    first, second, third = in_order()
    Delivery.objects.update(delivered_at=now - deliveries.KEPT - timedelta(seconds=1))
    Delivery.objects.filter(pk=second.pk).update(delivered_at=now - deliveries.KEPT)
    Delivery.objects.filter(pk=third.pk).update(state="dead", delivered_at=None)
    assert deliveries.forget_delivered(now=now) == 1
    assert set(Delivery.objects.values_list("pk", flat=True)) == {second.pk, third.pk}
    assert not DeliveryAttempt.objects.filter(delivery=first.pk).exists()
    assert (DeliveryAttempt.objects.count(), FeedEntry.objects.count()) == (2, 3)
    assert deliveries.forget_delivered(now=now) == 0
