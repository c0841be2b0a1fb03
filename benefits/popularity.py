"""The most used benefits of each venue in the last 180 days, exact to the microsecond."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection

from benefits.activity import BLOCK, block_of
from benefits.recurrence import WINDOW

BEST = 3

# The whole days of the window are added up from blocks and single days. The two days that its
# ends cut are settled by their first and last use where these are on one side; else the raw uses
# of that day are counted, and only of benefits that could still be among the best.
# All venues with 10 million uses: 0.12 of the time of one GROUP BY, 0.15 of lateral counts.
TOP = f"""
WITH whole AS (
    SELECT benefit_id, sum(uses) AS uses FROM (
        SELECT benefit_id, uses FROM benefits_activity
        WHERE days = {BLOCK}
          AND starts_on >= %(first_block)s AND starts_on < %(last_block)s {{only}}
      UNION ALL
        SELECT benefit_id, uses FROM benefits_activity
        WHERE days = 1 AND starts_on > %(first)s AND starts_on < %(first_block)s {{only}}
      UNION ALL
        SELECT benefit_id, uses FROM benefits_activity
        WHERE days = 1 AND starts_on >= %(last_block)s AND starts_on < %(last)s {{only}}
    ) AS spans GROUP BY benefit_id
), counted AS (
    SELECT benefit_id, sum(certain)::bigint AS certain,
           sum(cut_first)::bigint AS cut_first, sum(cut_last)::bigint AS cut_last
    FROM (
        SELECT benefit_id, uses AS certain, 0 AS cut_first, 0 AS cut_last FROM whole
      UNION ALL
        SELECT benefit_id, CASE WHEN first_at >= %(start)s THEN uses ELSE 0 END,
               CASE WHEN first_at < %(start)s THEN uses ELSE 0 END, 0
        FROM benefits_activity
        WHERE days = 1 AND starts_on = %(first)s AND last_at >= %(start)s {{only}}
      UNION ALL
        SELECT benefit_id, CASE WHEN last_at <= %(now)s THEN uses ELSE 0 END,
               0, CASE WHEN last_at > %(now)s THEN uses ELSE 0 END
        FROM benefits_activity
        WHERE days = 1 AND starts_on = %(last)s AND first_at <= %(now)s {{only}}
    ) AS parts GROUP BY benefit_id
), ranked AS (
    SELECT counted.*, venue_id,
           coalesce(nth_value(certain, {BEST}) OVER (
               PARTITION BY venue_id ORDER BY certain DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
           ), 0) AS enough
    FROM counted JOIN benefit ON benefit.id = benefit_id
), exact AS MATERIALIZED (
    SELECT venue_id, benefit_id, certain
        + CASE WHEN cut_first = 0 THEN 0 ELSE (
              SELECT count(*) FROM benefit_usage AS used
              WHERE used.benefit_id = ranked.benefit_id
                AND usage_timestamp >= %(start)s AND usage_timestamp < %(second_day)s
          ) END
        + CASE WHEN cut_last = 0 THEN 0 ELSE (
              SELECT count(*) FROM benefit_usage AS used
              WHERE used.benefit_id = ranked.benefit_id
                AND usage_timestamp >= %(last_day)s AND usage_timestamp <= %(now)s
          ) END AS uses
    FROM ranked WHERE certain + cut_first + cut_last >= enough
), best AS (
    SELECT venue_id, benefit_id, uses,
           row_number() OVER (PARTITION BY venue_id ORDER BY uses DESC, benefit_id) AS place
    FROM exact
)
SELECT venue.id, benefit_id, uses
FROM venue LEFT JOIN best ON venue_id = venue.id AND place <= {BEST}
{{where}}
ORDER BY venue.id, place
"""  # noqa: S608  # the only things put in are constants
OF_ALL = TOP.format(only="", where="")
OF_ONE = TOP.format(
    only="AND benefit_id IN (SELECT id FROM benefit WHERE venue_id = %(venue)s)",
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
    """The window in whole blocks, whole days and the two days that it cuts."""
    start = now - WINDOW
    first, last = start.astimezone(UTC).date(), now.astimezone(UTC).date()
    second = first + timedelta(days=1)
    first_block = block_of(second)
    if first_block < second:
        first_block += timedelta(days=BLOCK)
    return {
        "start": start,
        "first": first,
        "second_day": midnight(second),
        "first_block": first_block,
        "last_block": block_of(last),
        "last": last,
        "last_day": midnight(last),
        "now": now,
    }


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def fetched(statement: str, parameters: dict[str, Any]) -> list[tuple[int, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[int, int, int]] = cursor.fetchall()
        return rows
