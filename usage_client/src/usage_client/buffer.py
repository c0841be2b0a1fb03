"""Records in passing: accepted at once, sent in batches by a thread, never dropped in silence."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timezone
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from usage_client import lifetime
from usage_client.delivery import quietly
from usage_client.errors import (
    BufferClosed,
    BufferFull,
    Misconfigured,
    NotFlushed,
    RecordsRefused,
    Refused,
    UsageError,
)
from usage_client.memory import Memory
from usage_client.records import Usage, batch_of
from usage_client.results import CREATED, REPLAYED, Result
from usage_client.spool import Spool

if TYPE_CHECKING:
    from usage_client.client import UsageClient

logger = logging.getLogger("usage_client")

FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE_WHILE_SOMEBODY_WAITS = 0.5, 30.0, 2.0
# How often a thread with nothing to do looks after a shared spool.
LOOK_AFTER_SECONDS = 5.0


class Store(Protocol):
    """Where accepted records wait: `Memory` or `Spool`."""

    capacity: int

    def open(self, base_url: str) -> None: ...
    def add(self, usages: Sequence[Usage]) -> list[int]: ...
    def head(self, count: int) -> list[tuple[int, Usage]]: ...
    def settle(self, results: Sequence[tuple[int, Result]]) -> None: ...
    def bounds(self) -> tuple[int, int] | None: ...
    def size(self) -> int: ...
    def elsewhere(self, ids: Sequence[int]) -> list[tuple[int, Result | None]]: ...
    def unsettled(self) -> list[Usage]: ...
    def leave(self) -> None: ...


class Tally(NamedTuple):
    """What has become of a buffer's records so far."""

    created: int = 0
    replayed: int = 0
    refused: int = 0


class Pending(Future[Result]):
    """For one accepted record: `result(timeout)` is its `Result`, or raises what `record` would
    have raised. Who asks is told there, and then not again by `flush` or at the end."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__()
        self.idempotency_key = idempotency_key
        self.was_asked = False
        # The record is on its way; there is nothing to cancel.
        self.set_running_or_notify_cancel()

    def result(self, timeout: float | None = None) -> Result:
        self.was_asked = True
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.was_asked = True
        return super().exception(timeout)


class Buffer:
    """Made by `UsageClient.buffered`. Safe for threads; a forked child starts with an empty one,
    while its parent goes on to send what it had accepted.

    `capacity`: records that may wait; then `record` blocks for up to `patience` seconds and raises
    BufferFull. `linger`: seconds to wait for more before a batch that is not full leaves.
    `exit_timeout`: seconds that leaving the `with` block, or the process, waits for the last.
    `on_result`: called in the sending thread with each `Result`; who has one is told there.
    """

    def __init__(
        self,
        client: UsageClient,
        *,
        spool: Spool | str | os.PathLike[str] | None = None,
        capacity: int = 10_000,
        batch_size: int = 1000,
        linger: float = 0.2,
        patience: float = 30.0,
        exit_timeout: float | None = None,
        on_result: Callable[[Result], None] | None = None,
    ) -> None:
        if not (1 <= batch_size <= 1000 and capacity >= 1 and linger >= 0 and patience >= 0):
            raise Misconfigured("batch_size is 1 to 1000, capacity 1 or more, times 0 or more.")
        if spool is not None and not isinstance(spool, Spool):
            spool = Spool(spool)
        self._client = client
        self._store: Store = Memory(capacity) if spool is None else spool
        self._is_durable = spool is not None
        self._batch_size, self._linger, self._patience = batch_size, linger, patience
        self._exit_timeout = client.deadline * 2 if exit_timeout is None else exit_timeout
        self._on_result = on_result
        self._is_closed = self._is_over = False
        self._rng = random.SystemRandom()
        self._begin()
        self._store.open(client.base_url)
        lifetime.open_buffers.add(self)
        if waiting := self._store.bounds():
            # Somebody's who is no more.
            self._last = waiting[1]
            self._ensure_thread()

    def _begin(self) -> None:
        """What a forked child has of its own."""
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._pending: dict[int, list[Pending]] = {}
        self._unseen: list[tuple[list[Pending], Result]] = []
        self._tally = Tally()
        self._last = 0
        self._filled_at = 0.0
        self._flushing = self._flushes = 0
        self._rounds = self._failures = 0
        # Between forgetting records and telling what became of them.
        self._is_telling = False
        self._trouble: UsageError | None = None

    def __repr__(self) -> str:
        return f"<Buffer of {self._client!r}: {len(self)} waiting, {self._tally}>"

    def __len__(self) -> int:
        """Accepted, and not yet settled."""
        return self._store.size()

    @property
    def tally(self) -> Tally:
        return self._tally

    @property
    def trouble(self) -> UsageError | None:
        """Why nothing leaves at the moment, if so."""
        return self._trouble

    def record(
        self,
        *,
        customer_id: int,
        service: str,
        units_consumed: Decimal | int | str,
        price_per_unit: Decimal | int | str,
        recorded_at: datetime | str | None = None,
        idempotency_key: str | None = None,
        identity: str | None = None,
    ) -> Pending:
        """Accept this; with a spool it is on the disk when this returns.

        Without `recorded_at`, `identity` and key it gets the time of this call, so that it is on
        the bill of its month however late it leaves.
        """
        usage = Usage(
            customer_id=customer_id,
            service=service,
            units_consumed=units_consumed,
            price_per_unit=price_per_unit,
            recorded_at=recorded_at,
            idempotency_key=idempotency_key,
            identity=identity,
        )
        return self.record_many([usage])[0]

    def record_many(self, records: Iterable[Usage | Mapping[str, Any]]) -> list[Pending]:
        """Accept all of these or none; with a spool in one write, which is much faster."""
        now = datetime.now(timezone.utc)
        usages = [(each if isinstance(each, Usage) else Usage.of(each)).at(now) for each in records]
        if not usages:
            return []
        with self._changed:
            self._wait_for_room(usages)
            was_empty = not self._store.size()
            if was_empty:
                self._filled_at = time.monotonic()
            pending = [Pending(usage.idempotency_key) for usage in usages]
            for id, each in zip(self._store.add(usages), pending, strict=True):
                self._pending.setdefault(id, []).append(each)
                self._last = max(self._last, id)
            self._ensure_thread()
            if was_empty or self._store.size() >= self._batch_size:
                self._changed.notify_all()
        return pending

    def flush(self, timeout: float | None = None) -> Tally:
        """Returns when all that was accepted before is recorded.

        Raises NotFlushed when that takes longer, or at once when the service refuses us as such;
        RecordsRefused when some can never be recorded and nobody was told yet.
        """
        with self._changed:
            target, rounds = self._last, self._rounds
            self._flushing += 1
            self._flushes += 1
            try:
                self._changed.notify_all()
                if self._is_settled(target):
                    pass
                elif self._ensure_thread():
                    self._changed.wait_for(
                        lambda: self._is_settled(target) or self._is_hopeless(rounds), timeout
                    )
                else:
                    self._send_here(lambda: self._is_settled(target), timeout)
                if not self._is_settled(target):
                    raise self._not_flushed() from self._trouble
            finally:
                self._flushing -= 1
            self._tell_refused()
            return self._tally

    def close(self, timeout: float | None = None) -> Tally:
        """Flush, and accept nothing more. With a spool what is left stays there."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        try:
            return self.flush(self._exit_timeout if timeout is None else timeout)
        except NotFlushed as error:
            if not self._is_durable:
                raise
            logger.warning("%s", error)
            return self._tally
        finally:
            lifetime.open_buffers.discard(self)
            with self._changed:
                self._is_over = True
                self._changed.notify_all()
            # Also when the thread is still at it: the next may send the same, that is harmless.
            self._store.leave()

    def __enter__(self) -> Buffer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except UsageError as trouble:
            if error is None:
                raise
            # What went wrong first is what the caller must see.
            logger.error("While leaving the buffer: %s", trouble)

    # What the callers wait for; all of it under the lock.

    def _wait_for_room(self, usages: Sequence[Usage]) -> None:
        def fits() -> bool:
            return self._is_closed or self._store.size() + len(usages) <= self._store.capacity

        if len(usages) > self._store.capacity:
            raise BufferFull("more records at once than the capacity", records=usages)
        if not fits() and self._ensure_thread():
            self._changed.wait_for(fits, self._patience)
        elif not fits():
            self._send_here(fits, self._patience)
        if self._is_closed:
            raise BufferClosed("the buffer is closed", records=usages)
        if not fits():
            waiting, why = self._store.size(), self._trouble or "they leave too slowly"
            raise BufferFull(f"{waiting} records are waiting ({why})", records=usages)

    def _is_settled(self, target: int) -> bool:
        if self._is_telling or any(id <= target for id in self._pending):
            return False
        waiting = self._store.bounds()
        return waiting is None or waiting[0] > target

    def _is_hopeless(self, rounds: int) -> bool:
        """Waiting does not help: somebody must change something."""
        return self._rounds > rounds and isinstance(self._trouble, (Misconfigured, Refused))

    def _not_flushed(self) -> NotFlushed:
        where = "stay in the spool" if self._is_durable else "are not recorded yet"
        why = self._trouble or "too little time"
        message = f"{self._store.size()} records {where} ({why})"
        unsettled = self._store.unsettled()
        # What is under way, if anything is: a batch of the first.
        body = batch_of(unsettled[: self._batch_size]) if unsettled else b""
        return NotFlushed(message, records=unsettled, body=body, outcome_known=False)

    def _tell_refused(self) -> None:
        untold = [
            result
            for pending, result in self._unseen
            if not any(each.was_asked for each in pending)
        ]
        self._unseen.clear()
        if untold:
            records = [result.record for result in untold if result.record]
            body = next((result.error.body for result in untold if result.error), b"")
            raise RecordsRefused(
                f"{len(untold)} records were refused, the first: {untold[0].error}",
                untold,
                records=records,
                body=body,
            )

    # What the thread does.

    def _ensure_thread(self) -> bool:
        """False where no thread can be: then those who wait do the work."""
        if self._thread is None or not self._thread.is_alive():
            lifetime.watch_for_the_end()
            thread = threading.Thread(target=self._run, daemon=True, name="usage-client-buffer")
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while self._wait_for_work():
            self._round()
            if self._trouble:
                self._wait_for_better_times(self._trouble)

    def _send_here(self, is_enough: Callable[[], bool], timeout: float | None) -> None:
        ends_at = None if timeout is None else time.monotonic() + timeout
        while not is_enough() and (ends_at is None or time.monotonic() < ends_at):
            self._round()
            if isinstance(self._trouble, (Misconfigured, Refused)):
                return

    def _wait_for_work(self) -> bool:
        """True: a batch is to leave, or a shared spool to be looked after. False: the end."""
        with self._changed:
            while not self._is_over:
                size = self._store.size()
                lingers = self._filled_at + self._linger - time.monotonic()
                if size >= self._batch_size or (size and (self._flushing or lingers <= 0)):
                    return True
                if size:
                    self._changed.wait(lingers)
                elif not self._changed.wait(LOOK_AFTER_SECONDS if self._is_durable else None):
                    return True
            return False

    def _round(self) -> None:
        """One batch, or what of it can be settled now. Never raises: the thread must live."""
        trouble: UsageError | None = None
        entries: list[tuple[int, Usage]] = []
        results: Sequence[Result | None] = []
        settled: list[tuple[int, Result]] = []
        try:
            entries = self._store.head(self._batch_size)
            try:
                results = self._client.record_many([usage for _, usage in entries])
            except UsageError as error:
                trouble, results = error, error.results
            found = zip(entries, results, strict=False)
            settled = [(id, result) for (id, _), result in found if result]
            with self._changed:
                self._is_telling = True
            self._store.settle(settled)
            if not entries:
                settled = self._settled_elsewhere()
        except UsageError as error:
            # The spool: what was settled is sent again, and replayed.
            trouble, settled = error, []
        except Exception as error:
            logger.exception("A batch failed for a reason of our own")
            trouble, settled = UsageError(f"{type(error).__name__}: {error}"), []
        self._tell(settled)
        with self._changed:
            self._is_telling = False
            self._rounds += 1
            self._failures = self._failures + 1 if trouble else 0
            self._trouble = trouble
            self._filled_at = time.monotonic()
            self._changed.notify_all()

    def _settled_elsewhere(self) -> list[tuple[int, Result]]:
        """We seemed dead to another process of this spool, and it sent our records."""
        with self._changed:
            mine = {id: pending[0].idempotency_key for id, pending in self._pending.items()}
        found = self._store.elsewhere(list(mine)) if mine else []
        return [(id, result or Result(mine[id], REPLAYED)) for id, result in found]

    def _tell(self, settled: Sequence[tuple[int, Result]]) -> None:
        with self._changed:
            waiting = [(self._pending.get(id, []), result) for id, result in settled]
        for pending, result in waiting:
            if result.error:
                logger.error("Refused for good: %s", result.error)
            for each in pending:
                if result.error:
                    each.set_exception(result.error)
                else:
                    each.set_result(result)
            if self._on_result:
                quietly(self._on_result, result)
        with self._changed:
            for id, _ in settled:
                self._pending.pop(id, None)
            verdicts = [result.status for _, result in settled]
            created, replayed = verdicts.count(CREATED), verdicts.count(REPLAYED)
            self._tally = Tally(
                self._tally.created + created,
                self._tally.replayed + replayed,
                self._tally.refused + len(verdicts) - created - replayed,
            )
            if not self._on_result:
                self._unseen += [each for each in waiting if not each[1].ok]

    def _wait_for_better_times(self, trouble: UsageError) -> None:
        with self._changed:
            flushes = self._flushes
            longest = LONGEST_PAUSE_WHILE_SOMEBODY_WAITS if self._flushing else LONGEST_PAUSE
            pause = self._rng.uniform(0, min(longest, FIRST_PAUSE * 2.0 ** min(self._failures, 16)))
            self._changed.wait_for(
                lambda: self._is_over or self._flushes > flushes,
                max(pause, min(trouble.retry_after or 0.0, LONGEST_PAUSE)),
            )

    # Around a fork; the store does so for itself.

    def before_fork(self) -> None:
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        self._changed.release()

    def after_fork_in_child(self) -> None:
        self._begin()
