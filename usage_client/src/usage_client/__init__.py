"""Reports usage to Accrue: every record billed exactly once, whatever happens on the way."""

from usage_client.buffer import Buffer, Pending, Tally
from usage_client.client import UsageClient
from usage_client.delivery import Attempt
from usage_client.errors import (
    BufferClosed,
    BufferFull,
    BufferingError,
    InvalidRecord,
    KeyConflict,
    Misconfigured,
    NotAuthorised,
    NotFlushed,
    OutcomeUnknown,
    RateLimited,
    RecordsRefused,
    Refused,
    SpoolFailed,
    Unavailable,
    UnknownCustomer,
    UsageError,
    WrongType,
)
from usage_client.records import Usage
from usage_client.results import Bill, BillLine, MonthlyBill, Receipt, Result, UsageRecord
from usage_client.spool import Spool
from usage_client.version import __version__

__all__ = [
    "Attempt",
    "Bill",
    "BillLine",
    "Buffer",
    "BufferClosed",
    "BufferFull",
    "BufferingError",
    "InvalidRecord",
    "KeyConflict",
    "Misconfigured",
    "MonthlyBill",
    "NotAuthorised",
    "NotFlushed",
    "OutcomeUnknown",
    "Pending",
    "RateLimited",
    "Receipt",
    "RecordsRefused",
    "Refused",
    "Result",
    "Spool",
    "SpoolFailed",
    "Tally",
    "Unavailable",
    "UnknownCustomer",
    "Usage",
    "UsageClient",
    "UsageError",
    "UsageRecord",
    "WrongType",
    "__version__",
]
