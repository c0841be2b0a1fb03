"""Charging everybody for a month: a run that the worker takes further, batch by batch."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from threading import Event, Lock

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from clubs import charging, shop
from clubs.charging import Charged, ShopOutcomeUnknown, ShopRefused
from clubs.eligibility import count_uncharged, uncharged
from clubs.models import ChargeRun
from clubs.months import month_of
from clubs.shop import ShopNotConfigured
from common.problems import Problem
from common.tasks import SILENCE, Patiently

CALLS_AT_ONCE = 8
# Long enough that its threads' connections are worth their while, short enough to be seen going on.
SECONDS_IN_A_BATCH, LARGEST_BATCH = 10, 2_000
# So many in a row without a word about an order: the shop is away, not the customers poor.
PATIENCE = 5
PER_SECOND = 20.0

# The outcome of one subscription, as the run counts them.
SUCCEEDED, FAILED, UNKNOWN, PASSED_OVER = "succeeded", "failed", "unknown", "passed_over"
TURNED_AWAY = "turned_away"  # failed without a word about the order


class ShopAway(Exception):
    """The shop answers nobody at the moment: what is left of the batch is tried again later."""


def request_id_of(subscription_id: str, month: date) -> str:
    """The same for the same month whoever asks, so that two runs cannot place two orders."""
    request_id = f"{subscription_id}_{month:%Y-%m}"
    if charging.REQUEST_ID.fullmatch(request_id):
        return request_id
    # An id that others wrote, with characters that no request id has.
    return f"{hashlib.sha256(subscription_id.encode()).hexdigest()[:48]}_{month:%Y-%m}"


def start_run(*, as_of: datetime, rate: float, now: datetime) -> tuple[ChargeRun, bool]:
    """The run of this month that is under way, or a new one; whether it is new."""
    month = month_of(as_of)
    total = count_uncharged(at=as_of, month=month)
    with transaction.atomic():
        try:
            with transaction.atomic():
                run = ChargeRun.objects.create(
                    period=month, as_of=as_of, rate=rate, total=total, started_at=now
                )
        except IntegrityError:
            run = ChargeRun.objects.get(period=month, state=ChargeRun.State.RUNNING)
            is_new = False
        else:
            is_new = True
        enqueue(run)
    return run, is_new


def enqueue(run: ChargeRun) -> None:
    # The savepoint, because a job that waits already is told by a violated constraint.
    with suppress(AlreadyEnqueued), transaction.atomic():
        charge_next.configure(queueing_lock=f"clubs.run.{run.pk}").defer(run_id=run.pk)


# One batch at a time whatever the number of workers, for the rate's sake; behind everything else.
@app.task(name="clubs.charge_next", retry=Patiently(), lock="clubs.runs", priority=-10)
def charge_next(*, run_id: int) -> None:
    advance(run_id)


def advance(run_id: int) -> bool:
    """Charge the next batch of the run; whether there may be more. Raises ShopAway."""
    run = ChargeRun.objects.get(pk=run_id)
    if run.state != ChargeRun.State.RUNNING:
        return False
    limit = round(min(max(1.0, run.rate * SECONDS_IN_A_BATCH), LARGEST_BATCH))
    ids = uncharged(
        at=run.as_of,
        month=run.period,
        after=run.cursor,
        limit=limit,
        # Also where this batch was begun before, and the shop went away or our process died.
        not_declined_since=run.started_at,
    )
    batch = Batch(run)
    batch.charge(ids)
    is_away = batch.is_away.is_set() and not batch.is_unconfigured
    changes: dict[str, object] = {
        name: F(name) + many for name, many in batch.counts(is_to_be_continued=is_away).items()
    }
    if batch.is_unconfigured:
        changes |= {"state": ChargeRun.State.STOPPED, "reason": ShopNotConfigured.title}
        changes["finished_at"] = timezone.now()
    elif ids and not is_away:
        changes["cursor"] = ids[-1]
    elif not ids:
        changes |= {"state": ChargeRun.State.FINISHED, "finished_at": timezone.now()}
    goes_on = bool(ids) and not batch.is_unconfigured
    with transaction.atomic():
        # Whoever did the same batch beside us (a command without a worker, a job taken up again)
        # has counted it.
        if changes:
            same = ChargeRun.objects.filter(
                pk=run.pk,
                state=run.state,
                cursor=run.cursor,
                succeeded=run.succeeded,
                failed=run.failed,
                unknown=run.unknown,
            )
            same.update(**changes)
        if goes_on and not is_away:
            enqueue(run)
    if is_away:
        raise ShopAway(f"{PATIENCE} calls in a row without an answer about an order")
    return goes_on


class Batch:
    """Some subscriptions, charged by several threads at no more than the run's rate together."""

    def __init__(self, run: ChargeRun) -> None:
        self.run = run
        self.counted: Counter[str] = Counter()
        self.lock = Lock()
        self.next_call = time.monotonic()
        self.silent = 0  # calls in a row
        self.is_away = Event()
        self.is_unconfigured = False

    def charge(self, ids: Sequence[str]) -> None:
        waiting = iter(ids)
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            callers = range(min(CALLS_AT_ONCE, len(ids)))
            for done in [pool.submit(self.charge_some, waiting) for _ in callers]:
                done.result()

    def charge_some(self, waiting: Iterator[str]) -> None:
        """One caller's part: whoever is next, until nobody is left or the shop is away."""
        try:
            while (id := self.next_in_turn(waiting)) is not None:
                outcome = self.charge_one(id)
                with self.lock:
                    self.counted[outcome] += 1
        finally:
            connection.close()  # this thread's own

    def next_in_turn(self, waiting: Iterator[str]) -> str | None:
        with self.lock:
            id = None if self.is_away.is_set() else next(waiting, None)
            if id is None:
                return None
            turn = max(self.next_call, time.monotonic())
            self.next_call = turn + 1 / self.run.rate
        time.sleep(max(0.0, turn - time.monotonic()))
        return id

    def charge_one(self, id: str) -> str:
        request_id = request_id_of(id, self.run.period)
        by = f"run {self.run.pk}"
        try:
            done: Charged = charging.charge(
                subscription_id=id, request_id=request_id, by=by, as_of=self.run.as_of
            )
        except ShopNotConfigured:
            self.is_unconfigured = True
            self.is_away.set()
            return PASSED_OVER
        except ShopRefused as refused:
            is_turned_away = shop.is_away(refused.extra["shop_status"])
            self.hear(was_served=not is_turned_away)
            return TURNED_AWAY if is_turned_away else FAILED
        except ShopOutcomeUnknown:
            self.hear(was_served=False)
            return UNKNOWN
        except Problem:  # paused meanwhile, or another's turn: somebody else's success or decision
            return PASSED_OVER
        if done.was_called:
            self.hear(was_served=True)
            return SUCCEEDED
        return PASSED_OVER

    def counts(self, *, is_to_be_continued: bool) -> Counter[str]:
        """Then without those who are asked for again: turned away, or passed over."""
        counts = self.counted.copy()
        turned_away = counts.pop(TURNED_AWAY, 0)
        if is_to_be_continued:
            del counts[PASSED_OVER]
        else:
            counts[FAILED] += turned_away
        return counts

    def hear(self, *, was_served: bool) -> None:
        with self.lock:
            self.silent = 0 if was_served else self.silent + 1
            if self.silent >= PATIENCE:
                self.is_away.set()


def has_worker() -> bool:
    """Whether some worker is alive."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_workers "
            "WHERE last_heartbeat > now() - make_interval(secs => %s)",
            [SILENCE],
        )
        (count,) = cursor.fetchone()
    return bool(count)
