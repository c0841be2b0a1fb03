"""The most used benefits of each venue in the last 180 days, exact to the microsecond."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection

from benefits.activity import KEPT, WEEK, week_of
from benefits.recurrence import WINDOW

BEST = 3

# The weeks that the window touches are added up. Of the two that its ends cut, the raw uses that
# lie outside are taken off again, and only of benefits that could still be among the best: those
# that have at most no less than the third of their venue has at least.
# All venues with 10 million uses: 0.13 of the time of one GROUP BY, 0.2 of lateral counts.
TOP = f"""
WITH counted AS (
    SELECT benefit_id, sum(uses) AS at_most,
           sum(uses) FILTER (WHERE starts_on > %(first)s AND starts_on < %(last)s) AS at_least
    FROM ({KEPT}) AS kept
    WHERE starts_on >= %(first)s AND starts_on <= %(last)s {{only}}
    GROUP BY benefit_id
), ranked AS (
    SELECT venue_id, benefit_id, at_most,
           nth_value(at_least, {BEST}) OVER (
               PARTITION BY venue_id ORDER BY at_least DESC NULLS LAST
               ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
           ) AS enough
    FROM counted JOIN benefit ON benefit.id = benefit_id
), exact AS MATERIALIZED (
    SELECT venue_id, benefit_id, at_most::bigint
        - (SELECT count(*) FROM benefit_usage AS used
           WHERE used.benefit_id = ranked.benefit_id
             AND usage_timestamp >= %(first_at)s AND usage_timestamp < %(start)s)
        - (SELECT count(*) FROM benefit_usage AS used
           WHERE used.benefit_id = ranked.benefit_id
             AND usage_timestamp > %(now)s AND usage_timestamp < %(end)s) AS uses
    FROM ranked WHERE at_most >= coalesce(enough, 1)
), best AS (
    SELECT venue_id, benefit_id, uses,
           row_number() OVER (PARTITION BY venue_id ORDER BY uses DESC, benefit_id) AS place
    FROM exact WHERE uses > 0
)
SELECT venue.id, benefit_id, uses
FROM venue LEFT JOIN best ON venue_id = venue.id AND place <= {BEST}
{{where}}
ORDER BY venue.id, place
"""  # noqa: S608  # the only things put in are constants
OF_ALL = TOP.format(only="", where="")
OF_ONE = TOP.format(
    only="AND benefit_id = ANY (ARRAY(SELECT id FROM benefit WHERE venue_id = %(venue)s))",
    where="WHERE venue.id = %(venue)s",
)


class Popular(NamedTuple):
    benefit_id: int
    uses: int


def top(*, now: datetime) -> list[tuple[int, list[Popular]]]:
    """Each venue, by id, with its most used benefits; without uses it has none."""
    by_venue = groupby(fetched(OF_ALL, bounds(now)), key=itemgetter(0))
    return [(venue, popular(rows)) for venue, rows in by_venue]


def top_of(venue: int, *, now: datetime) -> list[Popular]:
    return popular(fetched(OF_ONE, {**bounds(now), "venue": venue}))


def popular(rows: Iterable[tuple[int, int, int]]) -> list[Popular]:
    return [Popular(benefit, uses) for _, benefit, uses in rows if benefit is not None]


def bounds(now: datetime) -> dict[str, Any]:
    """The window, and the first and the last week that it touches."""
    start = now - WINDOW
    first, last = week_of(start), week_of(now)
    return {
        "start": start,
        "now": now,
        "first": first,
        "last": last,
        "first_at": midnight(first),
        "end": midnight(last + WEEK),
    }


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def fetched(statement: str, parameters: dict[str, Any]) -> list[tuple[int, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[int, int, int]] = cursor.fetchall()
        return rows
