"""What should be kept beside the uses, as plain Python makes it of them."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

from django.db import connection

from benefits import activity
from benefits.models import BenefitUsage

DAY = timedelta(hours=24)


def execute(statement: str, *parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        found: int = cursor.rowcount
        return found


def proved() -> dict[tuple[int, date], int]:
    """The kept uses, by benefit and Monday: those that plain Python makes of the uses."""
    expected = Counter(
        (use.benefit_id, use.usage_timestamp.date() - timedelta(use.usage_timestamp.weekday()))
        for use in BenefitUsage.objects.all()
    )
    kept: Counter[tuple[int, date]] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(activity.KEPT)
        for starts_on, benefit, uses in cursor.fetchall():
            kept[benefit, starts_on] += uses
    found = {key: uses for key, uses in kept.items() if uses}
    assert found == expected
    assert list(activity.discrepancies()) == []
    return found
