"""What should be kept beside the uses, as plain Python makes it of them."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from benefits import activity
from benefits.models import Activity, BenefitUsage

DAY = timedelta(hours=24)


def execute(statement: str, *parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        found: int = cursor.rowcount
        return found


def proved() -> dict[tuple[int, int, date], tuple[int, datetime, datetime]]:
    """The kept rows, by benefit, days and first day: those that plain Python makes of the uses."""
    expected: dict[tuple[int, int, date], list[datetime]] = defaultdict(list)
    for use in BenefitUsage.objects.all():
        for days in (activity.BLOCK, 1):
            day = use.usage_timestamp.date()
            first = day - timedelta(days=(day.toordinal() - 1) % days)
            expected[use.benefit_id, days, first].append(use.usage_timestamp)
    kept = {
        (each.benefit_id, each.days, each.starts_on): (each.uses, each.first_at, each.last_at)
        for each in Activity.objects.all()
    }
    assert kept == {key: (len(at), min(at), max(at)) for key, at in expected.items()}
    assert list(activity.discrepancies()) == []
    return kept
