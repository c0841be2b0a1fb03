"""Bills and records as CSV."""

from collections.abc import Iterator

from django.db.models import QuerySet

from common import spreadsheet
from usage.metering import as_money, as_units
from usage.models import Bill, UsageRecord, month_text

LINES = ["bill", "customer", "name", "period", "service", "price", "units", "amount", "records"]
RECORDS = [
    "id",
    "recorded_at",
    "customer",
    "service",
    "units",
    "price",
    "amount",
    "period",
    "late_for",
    "owner",
    "idempotency_key",
    "corrects",
    "reason",
]


def lines_of_bills(bills: QuerySet[Bill]) -> Iterator[str]:
    # By the ids of a thousand: a subquery does not reach into a view that adds up.
    found = Bill.objects.filter(pk__in=bills.order_by().values("pk")).order_by("pk")
    found = found.defer("total").select_related("customer").prefetch_related("lines")
    return spreadsheet.csv_lines(
        LINES,
        (
            [
                bill.pk,
                bill.customer_id,
                bill.customer.name,
                month_text(bill.period),
                line.service,
                as_money(line.price_per_unit),
                Number(as_units(line.units_consumed)),
                Number(as_money(line.amount)),
                line.records,
            ]
            for bill in found.iterator(chunk_size=1000)
            for line in bill.lines.all()
        ),
    )


def lines_of_records(records: QuerySet[UsageRecord]) -> Iterator[str]:
    return spreadsheet.csv_lines(
        RECORDS,
        (
            [
                record.pk,
                record.recorded_at,
                record.customer_id,
                record.service,
                Number(as_units(record.units_consumed)),
                as_money(record.price_per_unit),
                Number(as_money(record.amount)),
                month_text(record.period),
                month_text(record.late_for) if record.late_for else "",
                record.owner,
                record.idempotency_key,
                record.corrects_id,
                record.reason,
            ]
            for record in records.iterator(chunk_size=1000)
        ),
    )


class Number:
    """Exact, and negative without being taken for a formula."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text
