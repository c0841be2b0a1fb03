"""Webhooks: signed, tried again, given up, sent again; and never out of step with the feed."""

import json
import logging
import time
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from conftest import ALICE, BOB, CHARLIE
from incentives.models import Delivery, DeliveryAttempt, FeedEntry, WebhookEndpoint
from incentives.partners import deliveries, endpoints, feed, leasing
from incentives.partners.contract import line
from incentives.partners.tests import receiver as behaves
from incentives.partners.tests.factories import (
    NOON,
    earn,
    make_partner,
    make_programme,
    make_rule,
    take_back,
)
from incentives.partners.tests.receiver import receiving, says

# Real threads answer, and only committed rows may be told.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _on_this_machine(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def rule():
    return make_rule(make_programme(make_partner()))


@pytest.fixture
def partner(rule):
    return rule.incentive.programme.partnership.partner


@pytest.fixture
def hook(partner, receiver):
    """An endpoint at the receiver, and its secret."""
    return endpoints.add_endpoint(partner=partner, url=receiver.url, now=NOON)


@pytest.fixture
def clock():
    return Clock()


class Clock:
    """Starts at the real time, which the public library asks for too, and jumps."""

    def __init__(self):
        from django.utils import timezone

        self.now = timezone.now()

    def __call__(self):
        return self.now

    def after(self, **step):
        self.now += timedelta(**step)
        return self.now


def publish(rule, *users, clock):
    earned = [earn(rule, user) for user in users]
    feed.publish_all(now=clock())
    return earned


def deliver(endpoint, clock):
    return deliveries.deliver_due(endpoint.pk, clock=clock)


def send(batch, clock):
    return deliveries.send(batch, started=time.monotonic(), clock=clock)


def fail_until_the_end(endpoint, clock):
    for _ in range(leasing.TRIES):
        clock.after(hours=13)
        deliver(endpoint, clock)


# What is sent


def test_a_message_verifies_and_is_the_feeds_own_line(rule, hook, receiver, clock):
    endpoint, secret = hook
    publish(rule, ALICE, clock=clock)
    assert deliver(endpoint, clock) == 1
    (received,) = receiver.received
    body = Webhook(secret).verify(received.body, received.headers)
    entry = FeedEntry.objects.get()
    assert body == {
        "type": "achievement.updated",
        "timestamp": entry.published_at.isoformat(),
        "data": json.loads(json.dumps(line(entry))),
    }
    delivery = Delivery.objects.get()
    assert received.headers["webhook-id"] == delivery.webhook_id
    assert delivery.state == "delivered"
    assert deliver(endpoint, clock) == 0


def test_a_touched_message_is_refused_by_the_public_library(rule, hook, receiver, clock):
    endpoint, secret = hook
    publish(rule, ALICE, clock=clock)
    deliver(endpoint, clock)
    (received,) = receiver.received
    touched = received.body.replace('"granted"', '"reversed"')
    assert touched != received.body
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(touched, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(received.body, {**received.headers, "webhook-id": "msg_other"})


def test_messages_come_in_the_order_of_the_feed(rule, hook, receiver, clock):
    endpoint, _ = hook
    earned, *_ = publish(rule, ALICE, BOB, CHARLIE, clock=clock)
    take_back(earned)
    feed.publish_all(now=clock())
    assert deliver(endpoint, clock) == 4
    told = [json.loads(each.body)["data"] for each in receiver.received]
    assert [each["sequence"] for each in told] == [1, 2, 3, 4]
    assert (told[0]["id"], told[0]["version"]) == (told[3]["id"], told[3]["version"] - 1)


def test_each_endpoint_of_a_partner_is_told_and_no_other_partners(rule, partner, hook, clock):
    stranger = make_partner("shop-two")
    with receiving() as second, receiving() as elsewhere:
        other, _ = endpoints.add_endpoint(partner=partner, url=second.url, now=NOON)
        strange, _ = endpoints.add_endpoint(partner=stranger, url=elsewhere.url, now=NOON)
        publish(rule, ALICE, clock=clock)
        for each in [hook[0], other, strange]:
            deliver(each, clock)
        assert (len(second.received), elsewhere.received) == (1, [])
        # An id is of one message to one endpoint.
        assert len(set(Delivery.objects.values_list("id", flat=True))) == 2


# What goes wrong


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (says(500), "500"),
        (says(404), "404"),
        (says(302, "Location: https://example.com/"), "302"),
        (behaves.resets, "disconnected"),
        (behaves.hangs_up, "disconnected"),
        (behaves.talks_nonsense, "not-http"),
        (behaves.has_endless_headers, "not-http"),
        (behaves.says_nothing, "timeout"),
        (behaves.drips, "timeout"),
        (behaves.continues, "timeout"),
        (behaves.pours(500), "500"),
    ],
)
def test_whatever_is_no_success_is_tried_again(
    rule, hook, receiver, clock, monkeypatch, behaviour, outcome
):
    monkeypatch.setattr(deliveries, "SECONDS_TO_ANSWER", 0.5)
    endpoint, secret = hook
    receiver.behave(behaviour, says(200))
    publish(rule, ALICE, clock=clock)
    assert deliver(endpoint, clock) == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries) == ("pending", 1)
    wait = delivery.due_at - clock()
    assert timedelta(seconds=4) <= wait <= timedelta(seconds=6)
    assert deliver(endpoint, clock) == 0
    clock.after(seconds=7)
    assert deliver(endpoint, clock) == 1
    assert Delivery.objects.get().state == "delivered"
    assert [each.outcome for each in DeliveryAttempt.objects.order_by("id")] == [outcome, "200"]
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.body == second.body
    Webhook(secret).verify(second.body, second.headers)


def test_any_2xx_is_a_success_also_with_a_body_without_end(rule, hook, receiver, clock):
    receiver.behave(behaves.pours(200), says(202), says(299))
    publish(rule, ALICE, BOB, CHARLIE, clock=clock)
    assert deliver(hook[0], clock) == 3
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_after_the_last_try_it_is_a_dead_letter_and_an_alarm(rule, hook, receiver, clock, caplog):
    endpoint, _ = hook
    receiver.behave(says(500))
    publish(rule, ALICE, clock=clock)
    with caplog.at_level(logging.ERROR):
        fail_until_the_end(endpoint, clock)
    assert len(receiver.received) == leasing.TRIES == 8
    assert Delivery.objects.get().state == "dead"
    assert Delivery.objects.get().webhook_id in caplog.text
    clock.after(days=1)
    assert deliver(endpoint, clock) == 0
    waits = [timedelta(0), *leasing.WAITS]
    assert waits == sorted(waits)


def test_replayed_it_goes_out_again_with_its_id_and_a_fresh_signature(rule, hook, receiver, clock):
    endpoint, secret = hook
    receiver.behave(says(500))
    publish(rule, ALICE, clock=clock)
    fail_until_the_end(endpoint, clock)
    receiver.behave(says(200))
    clock = Clock()
    Delivery.objects.update(due_at=clock())
    assert deliveries.replay(Delivery.objects.all(), now=clock()) == 1
    assert deliver(endpoint, clock) == 1
    *_, last = receiver.received
    assert {each.headers["webhook-id"] for each in receiver.received} == {
        last.headers["webhook-id"]
    }
    Webhook(secret).verify(last.body, last.headers)
    assert (Delivery.objects.get().state, Delivery.objects.get().tries) == ("delivered", 1)
    assert deliveries.replay(Delivery.objects.all(), now=clock()) == 1


def test_what_is_on_its_way_is_not_replayed(rule, hook, receiver, clock):
    receiver.behave(says(500))
    publish(rule, ALICE, clock=clock)
    deliver(hook[0], clock)
    assert deliveries.replay(Delivery.objects.all(), now=clock()) == 0
    assert Delivery.objects.get().tries == 1


def test_nothing_is_replayed_to_a_retired_endpoint(rule, hook, receiver, clock):
    publish(rule, ALICE, clock=clock)
    deliver(hook[0], clock)
    endpoints.retire_endpoint(id=hook[0].pk)
    assert deliveries.replay(Delivery.objects.all(), now=clock()) == 0
    assert Delivery.objects.get().state == "delivered"


def test_410_disables_the_endpoint_and_keeps_its_queue(rule, hook, receiver, clock, caplog):
    endpoint, _ = hook
    receiver.behave(says(410))
    publish(rule, ALICE, BOB, clock=clock)
    assert deliver(endpoint, clock) == 1
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.reason) == ("disabled", "The receiver answered 410 Gone.")
    publish(rule, CHARLIE, clock=clock)
    clock.after(days=3)
    assert deliver(endpoint, clock) == 0
    assert list(deliveries.endpoints_with_work(now=clock())) == []
    assert Delivery.objects.filter(state="pending", tries=0).count() == 3
    receiver.behave(says(200))
    endpoints.enable_endpoint(id=endpoint.pk)
    assert list(deliveries.endpoints_with_work(now=clock())) == [endpoint]
    assert deliver(endpoint, clock) == 3
    sequences = [json.loads(each.body)["data"]["sequence"] for each in receiver.received[1:]]
    assert sequences == [1, 2, 3]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Retry-After: 120", timedelta(seconds=120)),
        ("Retry-After: 0", timedelta(seconds=5)),
        ("Retry-After: 999999999", timedelta(hours=1)),
        ("Retry-After: tomorrow", timedelta(seconds=5)),
        ("X: y", timedelta(seconds=5)),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_within_limits(
    rule, hook, receiver, clock, status, header, expected
):
    endpoint, _ = hook
    receiver.behave(says(status, header))
    publish(rule, ALICE, BOB, clock=clock)
    assert deliver(endpoint, clock) == 1
    endpoint.refresh_from_db()
    assert endpoint.paused_until - clock() == expected


def test_a_failing_endpoint_is_left_alone_ever_longer_and_not_for_ever(rule, hook, receiver, clock):
    endpoint, _ = hook
    receiver.behave(says(500))
    publish(rule, *(str(user) for user in range(1, 30)), clock=clock)
    pauses = []
    for _ in range(10):
        assert deliver(endpoint, clock) == 1
        endpoint.refresh_from_db()
        pauses.append(endpoint.paused_until - clock())
        clock.now = endpoint.paused_until
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=5), timedelta(minutes=5))
    receiver.behave(says(200))
    assert deliver(endpoint, clock) == 29
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since, endpoint.paused_until) == (0, None, None)


def test_who_only_fails_for_days_is_disabled(rule, hook, receiver, clock):
    endpoint, _ = hook
    receiver.behave(says(500))
    publish(rule, ALICE, BOB, clock=clock)
    deliver(endpoint, clock)
    clock.after(days=4, hours=23)
    deliver(endpoint, clock)
    endpoint.refresh_from_db()
    assert endpoint.state == "active"
    clock.after(hours=2)
    deliver(endpoint, clock)
    endpoint.refresh_from_db()
    assert endpoint.state == "disabled"
    assert "5 days" in endpoint.reason


def test_an_address_that_turned_private_is_not_sent_to(rule, hook, receiver, clock, settings):
    endpoint, _ = hook
    settings.WEBHOOKS_TO_LOOPBACK = False
    publish(rule, ALICE, clock=clock)
    deliver(endpoint, clock)
    assert receiver.received == []
    assert DeliveryAttempt.objects.get().outcome == "address-refused"
    assert Delivery.objects.get().state == "pending"


def test_a_mistake_of_our_own_is_tried_again_and_not_for_ever(
    rule, hook, receiver, clock, monkeypatch, caplog
):
    def fail(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(deliveries.transport.Line, "post", fail)
    publish(rule, ALICE, clock=clock)
    fail_until_the_end(hook[0], clock)
    assert Delivery.objects.get().state == "dead"
    assert DeliveryAttempt.objects.first().outcome == "our-mistake"
    assert "ZeroDivisionError" in caplog.text


# Crashes


def test_killed_after_the_commit_and_before_the_sending_it_is_sent_by_another(
    rule, hook, receiver, clock
):
    endpoint, _ = hook
    publish(rule, ALICE, clock=clock)
    lost = leasing.lease(endpoint.pk, now=clock())  # and its worker is gone
    assert deliver(endpoint, clock) == 0
    clock.now += leasing.LEASE
    assert deliver(endpoint, clock) == 1
    assert receiver.received[0].headers["webhook-id"] == lost.tries[0].delivery.webhook_id
    assert [each.outcome for each in DeliveryAttempt.objects.order_by("id")] == ["", "204"]


def test_killed_after_the_sending_it_is_sent_again_with_the_same_id(rule, hook, receiver, clock):
    endpoint, _ = hook
    publish(rule, ALICE, clock=clock)
    send(leasing.lease(endpoint.pk, now=clock()), clock)  # and nobody noted it
    clock.now += leasing.LEASE
    deliver(endpoint, clock)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_slow_success_that_comes_after_its_lease_counts(rule, hook, receiver, clock):
    endpoint, _ = hook
    publish(rule, ALICE, clock=clock)
    slow = leasing.lease(endpoint.pk, now=clock())
    clock.now += leasing.LEASE
    again = leasing.lease(endpoint.pk, now=clock())
    for batch, status in [(slow, "200"), (again, "500")]:
        batch.tries[0].outcome = leasing.Outcome(status)
        leasing.settle(batch, now=clock())
    assert Delivery.objects.get().state == "delivered"


def test_a_feed_that_is_rolled_back_sends_nothing(rule, hook, receiver, clock, monkeypatch):
    from incentives.models import Handover

    earn(rule, ALICE)
    with monkeypatch.context() as patch:
        patch.setattr(Handover.objects, "filter", None)
        with pytest.raises(TypeError):
            feed.publish_all(now=clock())
    assert not Delivery.objects.exists()


# Endpoints and secrets


def test_both_secrets_sign_during_the_overlap_and_the_old_one_no_more_after(
    rule, hook, receiver, clock
):
    endpoint, old = hook
    new = endpoints.rotate_secret(id=endpoint.pk, now=clock())
    publish(rule, ALICE, clock=clock)
    deliver(endpoint, clock)
    for secret in [old, new]:
        Webhook(secret).verify(receiver.received[0].body, receiver.received[0].headers)
    endpoints.expire_old_secrets(id=endpoint.pk, now=clock())
    publish(rule, BOB, clock=clock)
    deliver(endpoint, clock)
    last = receiver.received[1]
    Webhook(new).verify(last.body, last.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(last.body, last.headers)


def test_the_overlap_ends_by_itself_and_a_second_rotation_ends_the_first(hook, clock):
    endpoint, _ = hook
    assert len(endpoints.secrets_in_use(endpoint, clock())) == 1
    endpoints.rotate_secret(id=endpoint.pk, now=clock())
    assert len(endpoints.secrets_in_use(endpoint, clock())) == 2
    clock.after(hours=1)
    endpoints.rotate_secret(id=endpoint.pk, now=clock())
    assert len(endpoints.secrets_in_use(endpoint, clock())) == 2
    clock.after(hours=25)
    assert len(endpoints.secrets_in_use(endpoint, clock())) == 1


def test_no_secret_stands_in_the_database(hook):
    import base64

    from django.db import connection

    _, secret = hook
    key = base64.b64decode(secret.removeprefix("whsec_"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM incentives_endpointsecret")
        (row,) = cursor.fetchall()
    values = [bytes(each) if isinstance(each, memoryview) else str(each).encode() for each in row]
    for form in [key, key.hex().encode(), secret.encode(), base64.b64encode(key)]:
        assert not any(form in value for value in values)


def test_with_another_secret_key_nothing_wrongly_signed_is_sent(
    rule, hook, receiver, clock, settings
):
    endpoint, _ = hook
    publish(rule, ALICE, clock=clock)
    settings.SECRET_KEY = "another"
    assert deliver(endpoint, clock) == 0
    endpoint.refresh_from_db()
    assert (endpoint.state, receiver.received) == ("disabled", [])
    assert "rotate" in endpoint.reason
    new = endpoints.rotate_secret(id=endpoint.pk, now=clock())
    endpoints.enable_endpoint(id=endpoint.pk)
    deliver(endpoint, clock)
    Webhook(new).verify(receiver.received[0].body, receiver.received[0].headers)


def test_a_retired_endpoint_is_told_nothing_more(rule, hook, receiver, clock):
    endpoint, _ = hook
    publish(rule, ALICE, clock=clock)
    endpoints.retire_endpoint(id=endpoint.pk)
    publish(rule, BOB, clock=clock)
    assert deliver(endpoint, clock) == 0
    assert list(Delivery.objects.values_list("state", flat=True)) == ["dropped"]
    assert deliveries.replay(Delivery.objects.all(), now=clock()) == 0
    for act in [endpoints.enable_endpoint, endpoints.retire_endpoint]:
        with pytest.raises(endpoints.EndpointRetired):
            act(id=endpoint.pk)


def test_a_new_endpoint_is_told_what_it_missed_when_asked_to(rule, partner, receiver, clock):
    publish(rule, ALICE, BOB, CHARLIE, clock=clock)
    endpoint, _ = endpoints.add_endpoint(partner=partner, url=receiver.url, now=clock())
    assert deliver(endpoint, clock) == 0
    assert endpoints.tell_from(id=endpoint.pk, after=1, now=clock()) == 2
    assert endpoints.tell_from(id=endpoint.pk, after=0, now=clock()) == 1
    assert endpoints.tell_from(id=endpoint.pk, after=0, now=clock()) == 0
    assert deliver(endpoint, clock) == 3


def test_an_address_of_ours_is_refused_when_it_is_saved(partner, settings):
    from common.problems import InvalidInput

    settings.WEBHOOKS_TO_LOOPBACK = False
    for url in ["https://169.254.169.254/", "https://localhost/", "https://10.0.0.1/", "x"]:
        with pytest.raises(InvalidInput):
            endpoints.add_endpoint(partner=partner, url=url, now=NOON)
    assert not WebhookEndpoint.objects.exists()


def test_a_moved_endpoint_is_vetted_again_and_told_there(rule, partner, hook, receiver, clock):
    from common.problems import InvalidInput

    endpoint, secret = hook
    receiver.behave(says(500))
    publish(rule, ALICE, clock=clock)
    deliver(endpoint, clock)
    with pytest.raises(InvalidInput):
        endpoints.move_endpoint(id=endpoint.pk, url="http://10.0.0.1/", now=clock())
    with receiving() as better:
        endpoints.move_endpoint(id=endpoint.pk, url=better.url, now=clock())
        clock.after(seconds=7)
        deliver(endpoint, clock)
        Webhook(secret).verify(better.received[0].body, better.received[0].headers)


def test_the_same_address_is_one_endpoint(partner, hook, receiver):
    with pytest.raises(endpoints.EndpointExists):
        endpoints.add_endpoint(partner=partner, url=receiver.url, now=NOON)
    endpoints.retire_endpoint(id=hook[0].pk)
    endpoints.add_endpoint(partner=partner, url=receiver.url, now=NOON)
