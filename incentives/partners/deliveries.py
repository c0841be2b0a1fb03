"""Webhooks on their way: enqueued with the feed, sent apart from it, tried again, given up."""

import json
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from incentives.models import Delivery, DeliveryAttempt, FeedEntry, WebhookEndpoint
from incentives.partners import addresses, endpoints, signing, transport
from incentives.partners.contract import line

logger = logging.getLogger(__name__)

TYPE = "achievement.updated"
SECONDS_TO_ANSWER = 15
# After the first try, as Svix does it: the last one is some 28 hours later.
WAITS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
]
TRIES = len(WAITS) + 1
# Whose worker has not come back by then was killed: somebody else sends it.
LEASE = timedelta(seconds=4 * SECONDS_TO_ANSWER)
# A failing endpoint is left alone as a whole, so that a thousand messages do not wait for their
# time-outs one after the other.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
LONGEST_REQUESTED_PAUSE = timedelta(hours=1)
PATIENCE = timedelta(days=5)
# For one job, so that endpoints take turns.
SECONDS_AT_ONCE = 20

State = Delivery.State


@dataclass(frozen=True)
class Message:
    """One try, ready to be sent."""

    endpoint_id: int
    delivery_id: UUID
    attempt_id: int
    url: str
    body: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """An HTTP status, or a word for what came instead."""

    text: str
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        return len(self.text) == 3 and self.text.startswith("2")

    @property
    def is_farewell(self) -> bool:
        return self.text == "410"


def enqueue(entries: Iterable[FeedEntry], *, now: datetime) -> None:
    """Part of the transaction that publishes them; a disabled endpoint's wait for it."""
    entries = list(entries)
    endpoints = WebhookEndpoint.objects.filter(
        partner__in={entry.partner_id for entry in entries}
    ).exclude(state=WebhookEndpoint.State.RETIRED)
    Delivery.objects.bulk_create(
        Delivery(endpoint=endpoint, entry=entry, due_at=now)
        for endpoint in endpoints
        for entry in entries
        if entry.partner_id == endpoint.partner_id
    )


def endpoints_with_work(*, now: datetime) -> QuerySet[WebhookEndpoint]:
    due = Delivery.objects.filter(state=State.PENDING, due_at__lte=now).values("endpoint")
    return open_endpoints(now).filter(pk__in=due)


def open_endpoints(now: datetime) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(
        Q(paused_until=None) | Q(paused_until__lte=now), state=WebhookEndpoint.State.ACTIVE
    )


def deliver_due(endpoint_id: int, *, clock: Callable[[], datetime] = timezone.now) -> int:
    """Send what is due, one after the other, until nothing is or the endpoint fails."""
    sent, deadline = 0, time.monotonic() + SECONDS_AT_ONCE
    while time.monotonic() < deadline:
        message = next_message(endpoint_id, now=clock())
        if message is None:
            break
        started = time.monotonic()
        outcome = send(message)
        milliseconds = int((time.monotonic() - started) * 1000)
        settle(message, outcome, milliseconds=milliseconds, now=clock())
        sent += 1
    return sent


@transaction.atomic
def next_message(endpoint_id: int, *, now: datetime) -> Message | None:
    """The message that is due first, leased to us. Nothing is sent in here."""
    endpoint = open_endpoints(now).select_for_update(no_key=True).filter(pk=endpoint_id).first()
    if endpoint is None:
        return None
    delivery = (
        Delivery.objects.select_for_update(of=("self",), no_key=True)
        .filter(endpoint=endpoint, state=State.PENDING, due_at__lte=now)
        .select_related("entry__member", "entry__partnership")
        .order_by("due_at", "entry_id")
        .first()
    )
    if delivery is None:
        return None
    try:
        secrets = endpoints.secrets_in_use(endpoint, now)
    except signing.SecretLost:
        endpoints.disable(endpoint, "Its secret cannot be made any more: rotate it.")
        return None
    delivery.tries += 1
    delivery.due_at = now + LEASE
    delivery.save(update_fields=["tries", "due_at"])
    attempt = DeliveryAttempt.objects.create(delivery=delivery, at=now)
    body = payload(delivery.entry)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Accrue-Webhooks/1",
        **signing.signed_headers(delivery.webhook_id, now, body, secrets),
    }
    return Message(endpoint_id, delivery.pk, attempt.pk, endpoint.url, body, headers)


def payload(entry: FeedEntry) -> str:
    """The feed's own line in the envelope of Standard Webhooks."""
    told = {"type": TYPE, "timestamp": entry.published_at.isoformat(), "data": line(entry)}
    return json.dumps(told, separators=(",", ":"))


def send(message: Message) -> Outcome:
    try:
        answer = transport.post(
            message.url, message.body.encode(), message.headers, seconds=SECONDS_TO_ANSWER
        )
    except addresses.Unresolved:
        return Outcome("unresolved")
    except addresses.Refused:
        return Outcome("address-refused")
    except transport.NoAnswer as failure:
        return Outcome(str(failure))
    except Exception:
        # A mistake of our own counts as a try like any other, or it would be made for ever.
        logger.exception("Attempt %d could not be made", message.attempt_id)
        return Outcome("our-mistake")
    return Outcome(str(answer.status), answer.retry_after)


@transaction.atomic
def settle(message: Message, outcome: Outcome, *, milliseconds: int, now: datetime) -> None:
    """Note what came of it, and what that means for the message and its endpoint."""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=message.endpoint_id)
    delivery = Delivery.objects.select_for_update(no_key=True).get(pk=message.delivery_id)
    DeliveryAttempt.objects.filter(pk=message.attempt_id).update(
        outcome=outcome.text, milliseconds=milliseconds
    )
    if outcome.is_success:
        delivery.state, delivery.delivered_at = State.DELIVERED, now
        endpoint.failures, endpoint.failing_since, endpoint.paused_until = 0, None, None
    elif delivery.state == State.PENDING and outcome.is_farewell:
        # Its queue is kept, and this one was not a try that failed.
        delivery.tries, delivery.due_at = delivery.tries - 1, now
        endpoints.disable(endpoint, "The receiver answered 410 Gone.")
    elif delivery.state == State.PENDING:
        note_failure(endpoint, outcome, now)
        wait_or_give_up(delivery, now)
    delivery.save(update_fields=["state", "tries", "due_at", "delivered_at"])
    endpoint.save(update_fields=["failures", "failing_since", "paused_until"])


def wait_or_give_up(delivery: Delivery, now: datetime) -> None:
    if delivery.tries < TRIES:
        # Jitter, so that what failed together does not come back together.
        delivery.due_at = now + WAITS[delivery.tries - 1] * random.uniform(0.8, 1.2)  # noqa: S311
    else:
        delivery.state = State.DEAD
        logger.error("Webhook %s is a dead letter: %d tries", delivery.webhook_id, delivery.tries)


def note_failure(endpoint: WebhookEndpoint, outcome: Outcome, now: datetime) -> None:
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    pause = min(SHORTEST_PAUSE * 2 ** min(endpoint.failures - 1, 10), LONGEST_PAUSE)
    if outcome.text in ("429", "503") and outcome.retry_after is not None:
        pause = max(pause, min(outcome.retry_after, LONGEST_REQUESTED_PAUSE))
    endpoint.paused_until = now + pause
    if now - endpoint.failing_since >= PATIENCE:
        endpoints.disable(endpoint, f"It only failed for {PATIENCE.days} days.")


@transaction.atomic
def replay(deliveries: QuerySet[Delivery], *, now: datetime) -> int:
    """Send these again, with their ids and fresh signatures; how many there are to send.

    What is on its way already stays as it is; nothing goes to an endpoint that was retired.
    """
    again = deliveries.filter(state__in=[State.DEAD, State.DELIVERED]).exclude(
        endpoint__state=WebhookEndpoint.State.RETIRED
    )
    ids = list(again.values_list("pk", flat=True))
    chosen = Delivery.objects.filter(pk__in=ids, state__in=[State.DEAD, State.DELIVERED])
    endpoints = set(chosen.values_list("endpoint", flat=True))
    count = chosen.update(state=State.PENDING, tries=0, due_at=now, delivered_at=None)
    # Whoever replays believes that the receiver is well again.
    WebhookEndpoint.objects.filter(pk__in=endpoints).update(paused_until=None)
    return count
