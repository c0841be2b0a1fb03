"""The proof: every total is the sum of its lines, every line that of its records."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from msgspec.structs import replace

from usage.corrections import correction_mark
from usage.metering import as_units
from usage.models import UsageRecord, month_text
from usage.reading import Usage

# As the views have them, but for all at once, and each part once.
LINES = """
SELECT bill_id, service, price_per_unit, sum(units_consumed) AS units, sum(amount) AS amount,
       sum(records) AS records
FROM (
    SELECT bill_id, service, price_per_unit, units_consumed, amount, records FROM usage_foldedline
  UNION ALL
    SELECT bill.id, service, price_per_unit, units_consumed, amount, 1
    FROM usage_foldedbill bill JOIN usage_record USING (customer_id, period)
    WHERE turn > folded_to OR turn = ANY(under_way)
) parts
GROUP BY bill_id, service, price_per_unit
"""

WRONG_LINES = f"""
WITH expected AS (
    SELECT customer_id, period, service, price_per_unit,
           sum(units_consumed) AS units, sum(amount) AS amount, count(*) AS records
    FROM usage_record GROUP BY customer_id, period, service, price_per_unit
), line AS (
    SELECT customer_id, period, service, price_per_unit, units, amount, records
    FROM ({LINES}) line JOIN usage_foldedbill bill ON bill.id = line.bill_id
)
SELECT customer_id, period, service, price_per_unit, line.units, line.amount, line.records,
       expected.units, expected.amount, expected.records
FROM line FULL JOIN expected USING (customer_id, period, service, price_per_unit)
WHERE (line.units, line.amount, line.records)
      IS DISTINCT FROM (expected.units, expected.amount, expected.records)
ORDER BY customer_id, period, service, price_per_unit
"""  # noqa: S608

WRONG_TOTALS = f"""
SELECT customer_id, period, total, lines.amount
FROM usage_bill bill LEFT JOIN (
    SELECT bill_id, sum(amount) AS amount FROM ({LINES}) line GROUP BY bill_id
) lines ON bill_id = bill.id
WHERE total IS DISTINCT FROM lines.amount
ORDER BY customer_id, period
"""  # noqa: S608

WRONG_MONTHS = """
SELECT id, customer_id, period FROM usage_record
WHERE date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date > period
ORDER BY id
"""


def discrepancies() -> Iterator[str]:
    """What is wrong at this moment, a line each, naming the bill; nothing when all adds up."""
    # Inside another's transaction, as in a test, the moment is that one's affair.
    begins = not connection.in_atomic_block
    with transaction.atomic() if begins else nullcontext(), connection.cursor() as cursor:
        if begins:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield from wrong_totals(cursor)
        yield from wrong_lines(cursor)
        yield from wrong_months(cursor)
        yield from edited_records()


def wrong_totals(cursor: Any) -> Iterator[str]:
    cursor.execute(WRONG_TOTALS)
    for customer, period, total, added in cursor.fetchall():
        sums = f"total {text(total)}, its lines add up to {text(added)}"
        yield f"{bill(customer, period)}: {sums}"


def wrong_lines(cursor: Any) -> Iterator[str]:
    cursor.execute(WRONG_LINES)
    for customer, period, service, price, *figures in cursor.fetchall():
        yield (
            f"{bill(customer, period)}: line {service} at {as_units(price)} says "
            f"{said(figures[:3])}; its records say {said(figures[3:])}"
        )


def wrong_months(cursor: Any) -> Iterator[str]:
    cursor.execute(WRONG_MONTHS)
    for id, customer, period in cursor.fetchall():
        yield f"{bill(customer, period)}: record {id} is of a later month"


def edited_records() -> Iterator[str]:
    """Records that no longer say what was asked for, also where all the figures fit."""
    asked = UsageRecord.objects.filter(fingerprint__isnull=False).order_by("id")
    for record in asked.iterator():
        if bytes(record.fingerprint or b"") not in marks_of(record):
            yield f"{bill(record.customer_id, record.period)}: record {record.pk} was edited"


def marks_of(record: UsageRecord) -> set[bytes]:
    """Its time may have been given or not."""
    if record.corrects_id is not None:
        return {correction_mark(record.corrects_id, record.reason)}
    said = Usage(
        record.idempotency_key,
        record.customer_id,
        record.service,
        as_units(record.units_consumed),
        as_units(record.price_per_unit),
        record.recorded_at,
    )
    return {said.fingerprint, replace(said, recorded_at=None).fingerprint}


def bill(customer: int, period: date) -> str:
    return f"bill of customer {customer} for {month_text(period)}"


def said(figures: list[Decimal | int | None]) -> str:
    units, amount, records = (text(figure) for figure in figures)
    return f"{units} units, {amount}, {records} records"


def text(figure: Decimal | int | None) -> str:
    if figure is None:
        return "nothing"
    return as_units(figure) if isinstance(figure, Decimal) else str(figure)
