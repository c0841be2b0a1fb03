"""What can go wrong, said so that the caller knows what to do and whether the outcome is known.

UsageError
├── Misconfigured        fix the set-up: URL, API key, certificate, a redirect
│   └── NotAuthorised    401 or 403: another API key, or another scope
├── InvalidRecord        fix the record; the key is still free        (is a ValueError)
│   └── WrongType        a float, a bool: give a Decimal, int or str  (is a TypeError)
├── UnknownCustomer      create the customer, send it again; the key is still free
├── KeyConflict          this key already bills something else
├── Refused              another 4xx: service and client do not fit
├── Unavailable          nothing has reached the service: send it again later
│   ├── RateLimited      429 until the deadline
│   └── OutcomeUnknown   perhaps recorded: send the same again, with the same key
└── BufferingError          what a buffer could not do
    ├── BufferFull       nothing was accepted: slow down
    ├── BufferClosed     nothing was accepted
    ├── NotFlushed       not everything is there yet
    ├── RecordsRefused   some records will never be recorded as they are
    └── SpoolFailed      the disk: nothing was accepted
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usage_client.records import Usage
    from usage_client.results import Result


class UsageError(Exception):
    """The root. `outcome_known` False: it may have been recorded; the same key makes sure."""

    #: Whether the same, sent again, is in vain.
    is_final = False

    def __init__(
        self,
        message: str,
        *,
        records: Sequence[Usage] = (),
        body: bytes = b"",
        outcome_known: bool = True,
        attempts: int = 0,
        status: int | None = None,
        problem: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.records = tuple(records)
        self.idempotency_keys = tuple(each.idempotency_key for each in records)
        #: Of a batch: its first record's.
        self.idempotency_key: str | None = self.idempotency_keys[0] if records else None
        #: The bytes that were sent, every time the same; empty when nothing was.
        self.body = body
        self.outcome_known = outcome_known
        self.attempts = attempts
        self.status = status
        #: The service's problem document (RFC 9457), if it sent one.
        self.problem = dict(problem or {})
        #: What to name when asking the service's operators.
        self.request_id = request_id
        #: Seconds that the service asked to wait.
        self.retry_after = retry_after
        #: Of `record_many`: what is known of each record, None where nothing is.
        self.results: list[Result | None] = []
        #: Of `record_many`: what to give it again, with the keys they had.
        self.unsettled: list[Usage] = [] if self.is_final else list(records)


class Misconfigured(UsageError):
    """The set-up is wrong; the same call fails until that is changed."""


class NotAuthorised(Misconfigured):
    """The service does not know this API key, or does not let it do this."""


class InvalidRecord(UsageError, ValueError):
    """This can never be recorded as it is. `field` is the argument, `errors` the whole list."""

    is_final = True
    field: str | None = None

    @property
    def errors(self) -> list[dict[str, Any]]:
        return list(self.problem.get("errors", ()))

    @classmethod
    def at(cls, field: str, detail: str) -> InvalidRecord:
        fault = {"pointer": f"/{field}", "code": "invalid", "detail": detail}
        error = cls(f"{field}: {detail}", problem={"errors": [fault]})
        error.field = field
        return error

    def concerns(self, key: str) -> None:
        self.idempotency_key, self.idempotency_keys = key, (key,)


class WrongType(InvalidRecord, TypeError):
    """A kind of value that cannot be exact, or that hides a mistake: a float, a bool."""


class UnknownCustomer(UsageError):
    """The service has no such customer; nothing was recorded and the key is still free."""

    is_final = True


class KeyConflict(UsageError):
    """The key was used for another record, which stands; this one was not recorded."""

    is_final = True


class Refused(UsageError):
    """The service refuses the request as such: it and this client do not fit."""


class Unavailable(UsageError):
    """No answer within the deadline. Here, itself: nothing reached the service."""


class RateLimited(Unavailable):
    """Too many requests, until the deadline; `retry_after` says how long to wait."""


class OutcomeUnknown(Unavailable):
    """Perhaps recorded, perhaps not. The same again, with the same key, can do no harm."""


class BufferingError(UsageError):
    """A buffer could not do what it was asked."""


class BufferFull(BufferingError):
    """No room within the time allowed. This record was not accepted."""


class BufferClosed(BufferingError):
    """The buffer takes nothing more. This record was not accepted."""


class NotFlushed(BufferingError):
    """Not everything is recorded yet; `unsettled` has what is not, with its keys."""


class RecordsRefused(BufferingError):
    """`refused` will never be recorded as they are; all else is."""

    def __init__(self, message: str, refused: Sequence[Result] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.refused = list(refused)
        self.unsettled = []


class SpoolFailed(BufferingError):
    """The spool file could not be read or written. What was being recorded was not accepted."""
