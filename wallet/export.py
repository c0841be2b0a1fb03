"""Entries as CSV."""

from collections.abc import Iterator

from django.db.models import QuerySet

from common import spreadsheet
from wallet.models import Entry

COLUMNS = [
    "id",
    "account_id",
    "version",
    "created_at",
    "amount",
    "balance_after",
    "kind",
    "reference",
    "reason",
    "corrects_id",
    "owner",
]


def csv_lines(entries: QuerySet[Entry]) -> Iterator[str]:
    """One line each, the header first; the rows come from a cursor on the server."""
    rows = entries.values_list(*COLUMNS).iterator(chunk_size=1000)
    return spreadsheet.csv_lines([name.removesuffix("_id") for name in COLUMNS], rows)
