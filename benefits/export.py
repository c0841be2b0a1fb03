"""Uses as CSV: streamed row by row, and harmless in a spreadsheet."""

import csv
from collections.abc import Iterator

from django.db.models import QuerySet

from benefits.models import BenefitUsage

COLUMNS = {
    "id": "id",
    "usage_timestamp": "usage_timestamp",
    "person_id": "person_id",
    "person": "person__name",
    "venue_id": "benefit__venue_id",
    "venue": "benefit__venue__name",
    "benefit_id": "benefit_id",
    "benefit": "benefit__title",
    "recurrence": "benefit__recurrence",
}
# What a spreadsheet takes for the start of a formula, its full-width forms included.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_lines(uses: QuerySet[BenefitUsage]) -> Iterator[str]:
    """One line each, the header first; the rows come from a cursor on the server."""
    writer = csv.writer(Line())
    yield writer.writerow(COLUMNS)
    for row in uses.values_list(*COLUMNS.values()).iterator(chunk_size=1000):
        yield writer.writerow([harmless(value) for value in row])


class Line:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value.isoformat() if hasattr(value, "isoformat") else value
