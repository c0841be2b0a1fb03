"""One call with all its attempts: the same bytes until there is an answer or no more time."""

from __future__ import annotations

import itertools
import logging
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from usage_client import answers
from usage_client.answers import Answer, NotBelieved
from usage_client.errors import (
    InvalidRecord,
    KeyConflict,
    Misconfigured,
    NotAuthorised,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    UnknownCustomer,
    UsageError,
)
from usage_client.records import Usage
from usage_client.retries import WORTH_ANOTHER_TRY, Budget, pause_after, retry_after
from usage_client.transport import Call, NoAnswer, Transport

logger = logging.getLogger("usage_client")
T = TypeVar("T")

# Every request's id begins so. An answer with another of these is somebody else's; an id of
# another make is a gateway's own, and says nothing.
OURS = "uc-"
# With fewer seconds left than this it is not tried again.
SHORTEST_CHANCE = 0.1


@dataclass(frozen=True)
class Attempt:
    """One attempt and what came of it, for metrics: give a function of it as `on_attempt`."""

    number: int
    #: 0 for a question.
    records: int
    #: HTTP status; None when there was no answer.
    status: int | None
    seconds: float
    #: Why this was not the end; None when it was.
    trouble: str | None
    #: Seconds until the next attempt; None when there is none.
    pause: float | None
    request_id: str


@dataclass(frozen=True)
class Again:
    """Not settled: perhaps by another attempt."""

    trouble: str
    may_have_landed: bool
    status: int | None = None
    wait: float | None = None


@dataclass(frozen=True)
class Done(Generic[T]):
    value: T
    status: int


class Delivery:
    def __init__(
        self,
        transport: Transport,
        *,
        deadline: float,
        attempt_timeout: float | None,
        budget: Budget,
        on_attempt: Callable[[Attempt], None] | None,
    ) -> None:
        self.transport = transport
        self.deadline = deadline
        self.attempt_timeout = attempt_timeout
        self.budget = budget
        self.on_attempt = on_attempt
        self.rng = random.SystemRandom()
        self.sleep: Callable[[float], None] = time.sleep

    def settle(
        self, call: Call, records: Sequence[Usage], read: Callable[[Answer, int, str], T]
    ) -> T:
        """`read(answer, attempts, request_id)` of the first answer that is one.

        Raises a UsageError: what cannot succeed at once, all else when the time is over.
        """
        ends_at = time.monotonic() + self.deadline
        nonce = OURS + uuid.uuid4().hex
        may_have_landed = False
        for number in itertools.count(1):
            request_id = f"{nonce}-{number}"
            started = time.monotonic()
            left = ends_at - started
            # Half: long enough for a slow answer, and there is time for another attempt.
            most = self.attempt_timeout or max(1.0, left / 2)
            # The first attempt is made whatever the clock says.
            timeout = max(0.001, min(most, left))
            try:
                outcome = self.attempt(call, number, request_id, timeout, read)
            except UsageError as error:
                self.report(number, records, error.status, started, str(error), None, request_id)
                self.complete(error, call, records, number, request_id, may_have_landed)
                # Not from a requests exception, which carries the API key.
                raise error from None
            if isinstance(outcome, Done):
                self.budget.succeeded(number - 1)
                self.report(number, records, outcome.status, started, None, None, request_id)
                return outcome.value
            may_have_landed |= outcome.may_have_landed
            pause = self.pause(number, outcome, ends_at)
            self.report(
                number, records, outcome.status, started, outcome.trouble, pause, request_id
            )
            if pause is None:
                self.give_up(outcome, call, records, number, request_id, may_have_landed)
            self.sleep(pause)
        raise AssertionError("unreachable")

    def attempt(
        self,
        call: Call,
        number: int,
        request_id: str,
        timeout: float,
        read: Callable[[Answer, int, str], T],
    ) -> Done[T] | Again:
        """Raises the UsageError of what another attempt does not change."""
        try:
            answer = self.transport.send(call, request_id, timeout)
        except NoAnswer as trouble:
            return Again(str(trouble), may_have_landed=trouble.was_sent)
        echoed = answer.headers.get("x-request-id", "")
        if echoed.startswith(OURS) and echoed != request_id:
            return Again("the answer to another request", may_have_landed=True)
        if answer.status in (200, 201):
            try:
                return Done(read(answer, number, request_id), answer.status)
            except NotBelieved as doubt:
                return Again(str(doubt), may_have_landed=True, status=answer.status)
        if answer.status in WORTH_ANOTHER_TRY:
            return self.later(answer, may_have_landed=False)
        if answer.status < 300 or answer.status >= 500:
            # Also a 503: who says that it comes from the service and not from a proxy?
            return self.later(answer, may_have_landed=True)
        error = refusal(answer)
        if error.problem.get("type") == "urn:problem:malformed-json":
            # It was JSON when it left.
            return Again("the request was damaged on its way", False, answer.status)
        raise error

    def later(self, answer: Answer, *, may_have_landed: bool) -> Again:
        wait = retry_after(answer.headers.get("retry-after"))
        return Again(f"status {answer.status}", may_have_landed, answer.status, wait)

    def pause(self, number: int, outcome: Again, ends_at: float) -> float | None:
        """Seconds until the next attempt, or None when there is no time or no budget for one."""
        left = ends_at - time.monotonic()
        # Of our own no more than half of what is left: the time is there to be used.
        pause = max(min(pause_after(number, self.rng), left / 2), outcome.wait or 0.0)
        if left < SHORTEST_CHANCE or pause >= left or not self.budget.take():
            return None
        return pause

    def give_up(
        self,
        outcome: Again,
        call: Call,
        records: Sequence[Usage],
        attempts: int,
        request_id: str,
        may_have_landed: bool,
    ) -> NoReturn:
        self.budget.gave_up()
        kind: type[Unavailable] = Unavailable
        if may_have_landed and records:
            kind = OutcomeUnknown
        elif outcome.status == 429:
            kind = RateLimited
        what = described(records)
        fate = "perhaps recorded" if kind is OutcomeUnknown else "not recorded"
        message = f"{what}: {fate}, after {attempts} attempts ({outcome.trouble})"
        error = kind(message, status=outcome.status, retry_after=outcome.wait)
        self.complete(error, call, records, attempts, request_id, may_have_landed)
        raise error

    def complete(
        self,
        error: UsageError,
        call: Call,
        records: Sequence[Usage],
        attempts: int,
        request_id: str,
        may_have_landed: bool,
    ) -> None:
        """What every exception has."""
        error.records = tuple(records)
        error.idempotency_keys = tuple(each.idempotency_key for each in records)
        error.idempotency_key = error.idempotency_keys[0] if records else None
        error.body, error.attempts, error.request_id = call.body, attempts, request_id
        error.unsettled = [] if error.is_final else list(records)
        # A verdict on the record holds for earlier attempts too. That the door is shut does not
        # say whether one of them went through it.
        error.outcome_known = error.is_final or not (may_have_landed and records)

    def report(
        self,
        number: int,
        records: Sequence[Usage],
        status: int | None,
        started: float,
        trouble: str | None,
        pause: float | None,
        request_id: str,
    ) -> None:
        seconds = time.monotonic() - started
        if trouble is None:
            logger.debug("%s in %.3f s (attempt %d)", described(records), seconds, number)
        elif pause is None:
            logger.warning("%s: %s (attempt %d, the last)", described(records), trouble, number)
        else:
            logger.info("%s: %s (attempt %d)", described(records), trouble, number)
        if self.on_attempt:
            seen = Attempt(number, len(records), status, seconds, trouble, pause, request_id)
            quietly(self.on_attempt, seen)


def quietly(hook: Callable[[Any], object], seen: object) -> None:
    """Somebody's metrics are no reason to lose a record."""
    try:
        hook(seen)
    except Exception:
        logger.exception("A hook failed")


def described(records: Sequence[Usage]) -> str:
    match len(records):
        case 0:
            return "a question"
        case 1:
            return records[0].idempotency_key
        case many:
            return f"{many} records from {records[0].idempotency_key}"


def refusal(answer: Answer) -> UsageError:
    """The exception of a 3xx or 4xx."""
    problem = answers.problem(answer)
    code = str(problem.get("type", "")).removeprefix("urn:problem:")
    detail = problem.get("detail") or problem.get("title") or "no explanation"
    words = f"status {answer.status}: {detail}"
    kind: type[UsageError] = Refused
    match answer.status:
        case status if status < 400:
            kind, words = Misconfigured, f"a redirect ({status}), which is not followed: base_url?"
        case 401 | 403:
            kind = NotAuthorised
        # A verdict on the record is final: it takes the service's own word for it.
        case 400 if code == "invalid-input" and isinstance(problem.get("errors"), list):
            kind = InvalidRecord
        case 404 if code == "unknown-customer":
            kind = UnknownCustomer
        case 404:
            kind, words = Misconfigured, "no such address: is base_url the service's?"
        case 422 if code == "idempotency-key-reused":
            kind = KeyConflict
    return kind(words, status=answer.status, problem=problem)
