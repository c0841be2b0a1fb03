"""Webhooks on their way: enqueued with the feed, sent apart from it, sent again."""

import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from incentives.models import Delivery, DeliveryAttempt, FeedEntry, WebhookEndpoint
from incentives.partners import addresses, leasing, signing, transport
from incentives.partners.contract import line
from incentives.partners.leasing import SECONDS_TO_ANSWER, Batch, Outcome, Try

logger = logging.getLogger(__name__)

TYPE = "achievement.updated"
# For one job, so that endpoints take turns.
SECONDS_AT_ONCE = 20
# Soon enough for who moves, disables or retires an endpoint, and for the lease of the last one.
SECONDS_OF_A_BATCH = 1
# Whoever was asleep for longer than that leaves its batch to the next.
LATEST_START = leasing.LEASE.total_seconds() / 2
# What was delivered is kept that long; dead letters stay.
KEPT = timedelta(days=90)
FORGOTTEN_AT_ONCE = 1000

State = Delivery.State


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
    return leasing.open_endpoints(now).filter(pk__in=due)


def deliver_due(endpoint_id: int, *, clock: Callable[[], datetime] = timezone.now) -> int:
    """Send what is due, one after the other, until nothing is or the endpoint fails."""
    sent, deadline = 0, time.monotonic() + SECONDS_AT_ONCE
    while (started := time.monotonic()) < deadline:
        batch = leasing.lease(endpoint_id, now=clock())
        if batch is None:
            break
        sent += send(batch, started=started, clock=clock)
        leasing.settle(batch, now=clock())
    return sent


def send(batch: Batch, *, started: float, clock: Callable[[], datetime]) -> int:
    """How many were sent: until one fails or the time is up. The rest go back unsent."""
    with transport.Line(batch.url) as wire:
        for number, each in enumerate(batch.tries):
            begun = time.monotonic()
            if begun - started > (SECONDS_OF_A_BATCH if number else LATEST_START):
                return number
            each.attempt.at = clock()
            each.outcome = outcome_of(each, batch.secrets, wire)
            each.attempt.milliseconds = int((time.monotonic() - begun) * 1000)
            if not each.outcome.is_success:
                return number + 1
    return len(batch.tries)


def outcome_of(each: Try, secrets: list[bytes], wire: transport.Line) -> Outcome:
    try:
        body = payload(each.delivery.entry)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Accrue-Webhooks/1",
            **signing.signed_headers(each.delivery.webhook_id, each.attempt.at, body, secrets),
        }
        answer = wire.post(body.encode(), headers, seconds=SECONDS_TO_ANSWER)
    except addresses.Unresolved:
        return Outcome("unresolved")
    except addresses.Refused:
        return Outcome("address-refused")
    except transport.NoAnswer as failure:
        return Outcome(str(failure))
    except Exception:
        # A mistake of our own counts as a try like any other, or it would be made for ever.
        logger.exception("Attempt %d could not be made", each.attempt.pk)
        return Outcome("our-mistake")
    return Outcome(str(answer.status), answer.retry_after)


def payload(entry: FeedEntry) -> str:
    """The feed's own line in the envelope of Standard Webhooks."""
    told = {"type": TYPE, "timestamp": entry.published_at.isoformat(), "data": line(entry)}
    return json.dumps(told, separators=(",", ":"))


@transaction.atomic
def replay(deliveries: QuerySet[Delivery], *, now: datetime) -> int:
    """Send these again, with their ids and fresh signatures; how many there are to send.

    What is on its way already stays as it is; nothing goes to an endpoint that was retired.
    """
    again = deliveries.filter(state__in=[State.DEAD, State.DELIVERED]).exclude(
        endpoint__state=WebhookEndpoint.State.RETIRED
    )
    ids = list(again.values_list("pk", flat=True))
    chosen = again.filter(pk__in=ids)
    endpoints = set(chosen.values_list("endpoint", flat=True))
    # Whoever replays believes that the receiver is well again. Endpoints first, as all who lock.
    WebhookEndpoint.objects.filter(pk__in=endpoints).update(paused_until=None)
    return chosen.update(state=State.PENDING, tries=0, due_at=now, delivered_at=None)


def forget_delivered(*, now: datetime) -> int:
    """Delete what was delivered long ago, and its attempts; how many. The feed keeps its entries.

    A replay has set what it sends again on its way, and that is never forgotten.
    """
    forgotten = 0
    while found := forget_some(now - KEPT):
        forgotten += found
    return forgotten


@transaction.atomic
def forget_some(before: datetime) -> int:
    old = Delivery.objects.filter(state=State.DELIVERED, delivered_at__lt=before)
    locked = old.select_for_update(skip_locked=True).order_by("delivered_at")
    ids = list(locked.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    DeliveryAttempt.objects.filter(delivery__in=ids).delete()
    Delivery.objects.filter(pk__in=ids).delete()
    return len(ids)
