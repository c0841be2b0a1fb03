"""Uses as CSV."""

from collections.abc import Iterator

from django.db.models import QuerySet

from benefits.models import BenefitUsage
from common import spreadsheet

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


def csv_lines(uses: QuerySet[BenefitUsage]) -> Iterator[str]:
    """One line each, the header first; the rows come from a cursor on the server."""
    rows = uses.values_list(*COLUMNS.values()).iterator(chunk_size=1000)
    return spreadsheet.csv_lines(list(COLUMNS), rows)
