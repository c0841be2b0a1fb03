"""Entries as CSV: streamed row by row, and harmless in a spreadsheet."""

import csv
from collections.abc import Iterator

from django.db.models import QuerySet

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
# What a spreadsheet takes for the start of a formula, its full-width forms included.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_lines(entries: QuerySet[Entry]) -> Iterator[str]:
    """One line each, the header first; the rows come from a cursor on the server."""
    writer = csv.writer(Line())
    yield writer.writerow([name.removesuffix("_id") for name in COLUMNS])
    for row in entries.values_list(*COLUMNS).iterator(chunk_size=1000):
        yield writer.writerow([harmless(value) for value in row])


class Line:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value.isoformat() if hasattr(value, "isoformat") else value
