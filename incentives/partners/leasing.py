"""Webhooks on loan: a worker takes a few, sends them, and notes what came of them at once."""

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import F, Q, QuerySet

from incentives.models import Delivery, DeliveryAttempt, WebhookEndpoint
from incentives.partners import endpoints, signing

logger = logging.getLogger(__name__)

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
# What a kill may send twice.
BATCH = 50
# A failing endpoint is left alone as a whole, so that a thousand messages do not wait for their
# time-outs one after the other.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
LONGEST_REQUESTED_PAUSE = timedelta(hours=1)
PATIENCE = timedelta(days=5)

State = Delivery.State


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


@dataclass
class Try:
    """A message on loan; without an outcome it was not sent."""

    delivery: Delivery
    attempt: DeliveryAttempt
    was_due_at: datetime
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Batch:
    """What one worker may send, in this order, until one of them fails."""

    endpoint_id: int
    url: str
    secrets: list[bytes] = field(repr=False)
    # Also tells this loan from a later one of the same message.
    until: datetime
    tries: list[Try]


def open_endpoints(now: datetime) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(
        Q(paused_until=None) | Q(paused_until__lte=now), state=WebhookEndpoint.State.ACTIVE
    )


@transaction.atomic
def lease(endpoint_id: int, *, now: datetime) -> Batch | None:
    """The messages that are due first, on loan to us. Nothing is sent in here."""
    endpoint = open_endpoints(now).select_for_update(no_key=True).filter(pk=endpoint_id).first()
    if endpoint is None:
        return None
    found = due_first(endpoint, now)
    if not found:
        return None
    try:
        secrets = endpoints.secrets_in_use(endpoint, now)
    except signing.SecretLost:
        endpoints.disable(endpoint, "Its secret cannot be made any more: rotate it.")
        return None
    until = now + LEASE
    attempts = DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(delivery=each, at=now) for each in found
    )
    Delivery.objects.filter(pk__in=[each.pk for each in found]).update(
        tries=F("tries") + 1, due_at=until
    )
    tries = [Try(each, attempt, each.due_at) for each, attempt in zip(found, attempts, strict=True)]
    return Batch(endpoint_id, endpoint.url, secrets, until, tries)


def due_first(endpoint: WebhookEndpoint, now: datetime) -> list[Delivery]:
    """Several only of those that were never tried, and only of an endpoint that is well.

    So whatever kills its worker takes a try from the others once, and from then on goes alone.
    """
    due = (
        Delivery.objects.select_for_update(of=("self",), no_key=True)
        .filter(endpoint=endpoint, state=State.PENDING, due_at__lte=now)
        .select_related("entry__member", "entry__partnership")
        .order_by("due_at", "entry_id")
    )
    found = list(due[: 1 if endpoint.failures else BATCH])
    return list(takewhile(lambda each: not each.tries, found)) or found[:1]


@transaction.atomic
def settle(batch: Batch, *, now: datetime) -> None:
    """Note what came of each, and what that means for the messages and their endpoint.

    A success counts whenever it comes; all else only while the message is still on loan to us.
    """
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=batch.endpoint_id)
    held = Delivery.objects.select_for_update(no_key=True).in_bulk(
        [each.delivery.pk for each in batch.tries]
    )
    made = [each for each in batch.tries if each.outcome is not None]
    note_attempts(batch)
    succeeded = [each for each in made if each.outcome and each.outcome.is_success]
    # Without a try it was replayed meanwhile, and goes again.
    Delivery.objects.filter(pk__in=[each.delivery.pk for each in succeeded], tries__gt=0).update(
        state=State.DELIVERED, delivered_at=now
    )
    ours = {
        id
        for id, each in held.items()
        if each.state == State.PENDING and each.tries and each.due_at == batch.until
    }
    left = [each for each in batch.tries if each not in succeeded and each.delivery.pk in ours]
    for each in left:
        delivery = held[each.delivery.pk]
        if each.outcome is None or each.outcome.is_farewell:
            # Not a try that failed: it waits where it stood.
            delivery.tries, delivery.due_at = delivery.tries - 1, each.was_due_at
        else:
            wait_or_give_up(delivery, now)
    Delivery.objects.bulk_update(
        [held[each.delivery.pk] for each in left], ["state", "tries", "due_at"]
    )
    # What an address said that it no longer has says nothing of it.
    if endpoint.url == batch.url:
        if succeeded:
            endpoint.failures, endpoint.failing_since, endpoint.paused_until = 0, None, None
        note_failures(endpoint, [each.outcome for each in left if each.outcome], now)
        endpoint.save(update_fields=["failures", "failing_since", "paused_until"])


def note_attempts(batch: Batch) -> None:
    made = [each for each in batch.tries if each.outcome is not None]
    for each in made:
        each.attempt.outcome = each.outcome.text if each.outcome else ""
    DeliveryAttempt.objects.bulk_update(
        [each.attempt for each in made], ["at", "outcome", "milliseconds"]
    )
    if len(made) < len(batch.tries):
        unmade = [each.attempt.pk for each in batch.tries if each.outcome is None]
        DeliveryAttempt.objects.filter(pk__in=unmade).delete()


def wait_or_give_up(delivery: Delivery, now: datetime) -> None:
    if delivery.tries < TRIES:
        # Jitter, so that what failed together does not come back together.
        delivery.due_at = now + WAITS[delivery.tries - 1] * random.uniform(0.8, 1.2)  # noqa: S311
    else:
        delivery.state = State.DEAD
        logger.error("Webhook %s is a dead letter: %d tries", delivery.webhook_id, delivery.tries)


def note_failures(endpoint: WebhookEndpoint, outcomes: Iterable[Outcome], now: datetime) -> None:
    for outcome in outcomes:
        if outcome.is_farewell:
            endpoints.disable(endpoint, "The receiver answered 410 Gone.")
        else:
            note_failure(endpoint, outcome, now)


def note_failure(endpoint: WebhookEndpoint, outcome: Outcome, now: datetime) -> None:
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    pause = min(SHORTEST_PAUSE * 2 ** min(endpoint.failures - 1, 10), LONGEST_PAUSE)
    if outcome.text in ("429", "503") and outcome.retry_after is not None:
        pause = max(pause, min(outcome.retry_after, LONGEST_REQUESTED_PAUSE))
    endpoint.paused_until = now + pause
    if now - endpoint.failing_since >= PATIENCE:
        endpoints.disable(endpoint, f"It only failed for {PATIENCE.days} days.")
