"""Sets of local days as runs that merge, and which local day an instant is."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

# Sorted, apart from each other, both ends included; days are proleptic ordinals, as in `date`.
Runs = list[list[int]]


def add_day(runs: Runs, day: int) -> bool:
    """Put a day into the set; False if it was there. The order of calls leaves no trace."""
    after = bisect_right(runs, day, key=lambda run: run[0])
    before = after - 1
    if after and day <= runs[before][1]:
        return False
    touches_before = after > 0 and runs[before][1] == day - 1
    touches_after = after < len(runs) and runs[after][0] == day + 1
    if touches_before and touches_after:
        runs[before][1] = runs.pop(after)[1]
    elif touches_before:
        runs[before][1] = day
    elif touches_after:
        runs[after][0] = day
    else:
        runs.insert(after, [day, day])
    return True


def length(run: list[int]) -> int:
    return run[1] - run[0] + 1


def each_day(runs: Runs) -> Iterator[int]:
    for first, last in runs:
        yield from range(first, last + 1)


@cache
def zones() -> frozenset[str]:
    # `localtime` is a file of some machines, not a zone.
    return frozenset(available_timezones()) - {"localtime"}


@lru_cache(maxsize=1024)
def first_zone(*names: str) -> ZoneInfo:
    """UTC if none is one: a row of plain SQL may name anything, and must stop nobody."""
    return ZoneInfo(next((name for name in names if name in zones()), "UTC"))


def local_day(instant: datetime, *zone_names: str) -> date:
    """In the first of these that is a zone."""
    return instant.astimezone(first_zone(*zone_names)).date()
