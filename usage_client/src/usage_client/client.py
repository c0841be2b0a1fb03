"""The client: one record, many records, a buffer for records in passing, and the bills."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from usage_client import answers
from usage_client.answers import Answer, NotBelieved
from usage_client.buffer import Buffer
from usage_client.delivery import Attempt, Delivery
from usage_client.errors import InvalidRecord, Misconfigured, UsageError, WrongType
from usage_client.keys import checked, key_for
from usage_client.records import Usage, batch_of, customer_id_of
from usage_client.results import INVALID, MonthlyBill, Receipt, Result, UsageRecord
from usage_client.retries import Budget
from usage_client.spool import Spool
from usage_client.transport import Call, Transport

RECORDS = "/api/v1/usage/"
RECEIPT = "/api/v1/usage/receipt/"
BILLS = "/api/v1/usage/bills/"
JSON = {"Content-Type": "application/json"}
MOST_RECORDS = 1000
# The service takes 5 MiB; what stands around the records is some bytes.
MOST_BYTES = 5 * 1024 * 1024 - 1024


class UsageClient:
    """Safe for threads and forks; one for a whole application.

    `deadline` is in seconds, for one request with all its attempts, waiting included (the records
    of a `record_many` go in requests of up to 1000). `attempt_timeout` is the most that one
    attempt may take, by default half of the time that is left. Proxies, certificates and .netrc
    of the environment count only with `trust_env`; the API key goes to `base_url`'s host and to no
    other.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        deadline: float = 15.0,
        *,
        attempt_timeout: float | None = None,
        application: str = "",
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        trust_env: bool = False,
        retry_budget: int = 1000,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        for name, seconds in (("deadline", deadline), ("attempt_timeout", attempt_timeout or 1)):
            if not (0 < seconds < math.inf):
                raise Misconfigured(f"{name} is a number of seconds, more than 0.")
        if not application.isprintable() or not application.isascii():
            raise Misconfigured("application is a name for User-Agent, in ASCII.")
        self._transport = Transport(
            base_url,
            api_key,
            application=application,
            verify=verify,
            proxies=proxies,
            trust_env=trust_env,
        )
        self._delivery = Delivery(
            self._transport,
            deadline=deadline,
            attempt_timeout=attempt_timeout,
            budget=Budget(retry_budget),
            on_attempt=on_attempt,
        )

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @property
    def deadline(self) -> float:
        return self._delivery.deadline

    def __repr__(self) -> str:
        return f"UsageClient({self.base_url!r}, deadline={self.deadline!r})"

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
    ) -> UsageRecord:
        """Bill this once, whatever happens on the way; returns when the service has it.

        `identity` is text that names the business event ("invoice-line 4711"): the same text is
        the same key in every process, so a restarted caller bills nothing twice. Without it and
        without a key of your own each call is a record of its own.
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
        return self.send(usage)

    def send(self, usage: Usage) -> UsageRecord:
        """`record`, for what is prepared: also `error.records[0]` of one that was not settled."""

        def read(answer: Answer, attempts: int, request_id: str) -> UsageRecord:
            return answers.record(usage, answer, attempts, request_id)

        headers = {**JSON, "Idempotency-Key": usage.idempotency_key}
        return self._delivery.settle(Call("POST", RECORDS, usage.body, headers), [usage], read)

    def record_many(self, records: Iterable[Usage | Mapping[str, Any]]) -> list[Result]:
        """One verdict for each record, in order; a bad one harms no other.

        `records` are `Usage` objects or mappings with the arguments of `record`. When the service
        cannot be reached the exception's `results` has what is known and its `unsettled` what
        is not: give that to `record_many` again, it carries its keys.
        """
        if isinstance(records, (str, bytes, Mapping, Usage)):
            raise WrongType("record_many takes a list of records.")
        results: list[Result | None] = []
        usages: list[tuple[int, Usage]] = []
        for index, given in enumerate(records):
            try:
                usages.append((index, usage_of(given)))
                results.append(None)
            except InvalidRecord as error:
                key = error.idempotency_key
                results.append(Result(key, INVALID, errors=error.errors, error=error))
        waiting = deque(chunks(usages))
        while waiting:
            chunk = waiting.popleft()
            try:
                verdicts = self._send_batch([usage for _, usage in chunk])
            except UsageError as error:
                if is_about_the_batch(error) and len(chunk) > 1:
                    # One of them is to blame: those that are not must not wait for it.
                    middle = len(chunk) // 2
                    waiting.extendleft([chunk[middle:], chunk[:middle]])
                    continue
                if not is_about_the_batch(error):
                    error.results = results
                    error.unsettled = [usage for index, usage in usages if results[index] is None]
                    raise
                verdicts = [refused(chunk[0][1], error)]
            for (index, _), found in zip(chunk, verdicts, strict=True):
                results[index] = found
        return [result for result in results if result]

    def buffered(
        self,
        *,
        spool: Spool | str | os.PathLike[str] | None = None,
        capacity: int = 10_000,
        batch_size: int = MOST_RECORDS,
        linger: float = 0.2,
        patience: float = 30.0,
        exit_timeout: float | None = None,
        on_result: Callable[[Result], None] | None = None,
    ) -> Buffer:
        """A `Buffer`, where the options are explained: records are accepted at once and sent in
        batches by a thread; leaving the `with` block waits for the last."""
        return Buffer(
            self,
            spool=spool,
            capacity=capacity,
            batch_size=batch_size,
            linger=linger,
            patience=patience,
            exit_timeout=exit_timeout,
            on_result=on_result,
        )

    def bills(self, customer_id: int, period: str | None = None) -> Iterator[MonthlyBill]:
        """The customer's bills as they are now. Needs the scope `usage.read`."""
        query = {"customerId": str(customer_id_of(customer_id))}
        if period is not None:
            query["period"] = period
        while True:
            path = f"{BILLS}?{urlencode(query)}"
            found, following = self._delivery.settle(Call("GET", path, b"", {}), [], page)
            yield from found
            if not following:
                return
            # Of the address only the question: our key goes to our own host alone.
            asked = parse_qs(urlsplit(following).query)
            query = {name: values[0] for name, values in asked.items()}

    def find(
        self, *, idempotency_key: str | None = None, identity: str | None = None
    ) -> UsageRecord | None:
        """The record of this key or identity as it stands, or None: how a call ended."""
        if idempotency_key is None and identity is None:
            raise InvalidRecord.at("identity", "or an idempotency_key says which record.")
        key = key_for(idempotency_key, identity)

        def read(answer: Answer, attempts: int, request_id: str) -> UsageRecord | None:
            return answers.found(key, answer, attempts, request_id)

        path = f"{RECORDS}?{urlencode({'idempotencyKey': key})}"
        return self._delivery.settle(Call("GET", path, b"", {}), [], read)

    def receipt(self, first_key: str | None = None, last_key: str | None = None) -> Receipt:
        """What of ours the service has from one key to the other, in the order of their bytes.

        `receipt.proves(records)` tells whether that is exactly these. Give a job's records keys
        that begin alike, and they are a range.
        """
        bounds = {"from": first_key, "to": last_key}
        query = urlencode({name: checked(key) for name, key in bounds.items() if key is not None})
        path = f"{RECEIPT}?{query}" if query else RECEIPT
        return self._delivery.settle(
            Call("GET", path, b"", {}), [], lambda answer, *_: answers.receipt(answer)
        )

    def close(self) -> None:
        """Hang up. A closed client works when it is used again."""
        self._transport.close()

    def __enter__(self) -> UsageClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send_batch(self, usages: Sequence[Usage]) -> list[Result]:
        body = batch_of(usages)

        def read(answer: Answer, attempts: int, request_id: str) -> list[Result]:
            return answers.batch(usages, answer, attempts, request_id, body)

        return self._delivery.settle(Call("POST", RECORDS, body, JSON), usages, read)


def usage_of(given: object) -> Usage:
    if isinstance(given, Usage):
        return given
    if not isinstance(given, Mapping):
        raise WrongType(f"a record is a Usage or a mapping, not {type(given).__name__}.")
    return Usage.of(given)


def chunks(usages: Sequence[tuple[int, Usage]]) -> Iterator[list[tuple[int, Usage]]]:
    """As many in one request as the service takes, by number and by bytes."""
    chunk: list[tuple[int, Usage]] = []
    size = 0
    for each in usages:
        length = len(each[1].line) + 1
        if chunk and (len(chunk) == MOST_RECORDS or size + length > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += length
    if chunk:
        yield chunk


def is_about_the_batch(error: UsageError) -> bool:
    """Refused as a whole for what is in it: nothing of it was recorded, a part may be."""
    return isinstance(error, InvalidRecord) or error.status == 413


def refused(usage: Usage, error: UsageError) -> Result:
    errors = error.problem.get("errors") or [{"detail": str(error)}]
    return Result(usage.idempotency_key, INVALID, None, errors, error.attempts, usage, error)


def page(answer: Answer, attempts: int, request_id: str) -> tuple[list[MonthlyBill], str | None]:
    if answer.status != 200:
        raise NotBelieved(f"status {answer.status}")
    return answers.bills(answer)
