"""Uses that are there already are counted on the way forward, and on the way back."""

import pytest
from django.core.management import call_command
from django.db import connection

from benefits.tests.factories import NOW, TICK, benefit, used
from benefits.tests.kept import DAY, execute, proved

DAILY_BEFORE = """
SELECT uses, first_at, last_at FROM benefits_activity WHERE days = 1 ORDER BY starts_on
"""


@pytest.mark.django_db(transaction=True)
def test_from_days_and_blocks_to_weeks_and_back():
    coffee = benefit()
    used(coffee, NOW, NOW + TICK, NOW - 30 * DAY)
    try:
        call_command("migrate", "benefits", "0001", verbosity=0)
        used(coffee, NOW + 2 * TICK)
        with connection.cursor() as cursor:
            cursor.execute(DAILY_BEFORE)
            found = cursor.fetchall()
        assert found == [(1, NOW - 30 * DAY, NOW - 30 * DAY), (3, NOW, NOW + 2 * TICK)]
        assert execute("DELETE FROM benefits_activity") == 0
    finally:
        call_command("migrate", "benefits", verbosity=0)
    assert sorted(proved().values()) == [1, 3]
    used(coffee, NOW)
    assert sorted(proved().values()) == [1, 4]
