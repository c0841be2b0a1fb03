"""How often a person may use a benefit, and when its silence is worth a word: elapsed time only."""

from datetime import timedelta
from enum import StrEnum

WINDOW = timedelta(hours=180 * 24)
# How far ahead of ours the clock of a till may be.
CLOCK_SKEW = timedelta(minutes=5)


class Recurrence(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def span(self) -> timedelta:
        """From one use to the next: so much later, to the microsecond, it is available again."""
        return SPANS[self]

    @property
    def how_often(self) -> str:
        """In words."""
        return HOW_OFTEN[self]


HOW_OFTEN = {
    Recurrence.DAY: "once a day",
    Recurrence.WEEK: "once a week",
    Recurrence.MONTH: "once a month",
}
SPANS = {
    Recurrence.DAY: timedelta(hours=24),
    Recurrence.WEEK: timedelta(hours=168),
    Recurrence.MONTH: timedelta(hours=720),
}
# So long without any use by anyone is an inactivity period.
IDLE = {
    Recurrence.DAY: timedelta(hours=14 * 24),
    Recurrence.WEEK: timedelta(hours=21 * 24),
    Recurrence.MONTH: timedelta(hours=30 * 24),
}


def sql(lengths: dict[Recurrence, timedelta]) -> str:
    """These lengths as an expression over the column `benefit.recurrence`.

    In hours, because a day of PostgreSQL has 23 or 25 of them where clocks change.
    """
    cases = (f"WHEN '{each}' THEN interval '{hours(lengths[each])} hours'" for each in lengths)
    return f"(CASE benefit.recurrence {' '.join(cases)} END)"


def hours(length: timedelta) -> int:
    return length // timedelta(hours=1)
