"""Spend on a bill by service and day, for a chart: the dearest by name, the rest as one."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from django.db import connection

from usage.models import Bill

NAMED = 7
OTHERS = "Other services"
EARLIER = "Earlier"
COLORS = [
    "#0d9488",
    "#f59e0b",
    "#6366f1",
    "#ec4899",
    "#84cc16",
    "#0ea5e9",
    "#a855f7",
    "#9ca3af",
]

BY_DAY = """
SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day, service, sum(amount)::float
FROM usage_record WHERE customer_id = %s AND period = %s
GROUP BY day, service
"""


def chart_of(bill: Bill) -> dict[str, Any]:
    """Labels and datasets as Chart.js wants them; what is late has a place of its own."""
    with connection.cursor() as cursor:
        cursor.execute(BY_DAY, [bill.customer_id, bill.period])
        rows = cursor.fetchall()
    spent: dict[str, float] = defaultdict(float)
    for _, service, amount in rows:
        spent[service] += amount
    named = sorted(spent, key=lambda service: (-spent[service], service))[:NAMED]
    days = days_of(bill.period)
    places = {day: place for place, day in enumerate(days)}
    has_earlier = any(day < bill.period for day, _, _ in rows)
    amounts = {name: [0.0] * (len(days) + has_earlier) for name in [*named, OTHERS]}
    for day, service, amount in rows:
        place = places[day] + has_earlier if day in places else 0
        amounts[service if service in named else OTHERS][place] += amount
    if len(spent) <= NAMED:
        del amounts[OTHERS]
    labels = [f"{day:%-d %b}" for day in days]
    return {
        "labels": [EARLIER, *labels] if has_earlier else labels,
        "datasets": [
            {"label": name, "data": [round(a, 6) for a in data], "backgroundColor": color}
            for (name, data), color in zip(amounts.items(), COLORS, strict=False)
        ],
    }


def days_of(month: date) -> list[date]:
    days = [month + timedelta(days=n) for n in range(31)]
    return [day for day in days if day.month == month.month]
