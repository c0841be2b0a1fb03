"""Which benefits a person may use at a given instant, and when the others come back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from benefits.recurrence import SPANS, sql
from common.problems import NotFound

SPAN = sql(SPANS)

# One look into the index for each benefit, however many uses the person has: a subquery with a
# limit stays one, where NOT EXISTS may become a join with everything the person ever used. Asked
# between two whole places in that index, no other can answer: asked for `benefit_id = …` the one by
# benefit may, through all that anybody did in a hot benefit.
IS_AVAILABLE = f"""
coalesce((
    SELECT usage_timestamp FROM benefit_usage
    WHERE (person_id, benefit_id, usage_timestamp)
          > (%(person)s, benefit.id, timestamptz '-infinity')
      AND (person_id, benefit_id, usage_timestamp)
          <= (%(person)s, benefit.id, %(at)s::timestamptz)
    ORDER BY person_id DESC, benefit_id DESC, usage_timestamp DESC LIMIT 1
) <= %(at)s::timestamptz - {SPAN}, true)
"""  # noqa: S608  # the only thing put in is a constant

# Whether venue and person are there is asked in the same query: with both there is always a row.
# Joined and put in order by us, for that takes the server two thirds of what it takes to ask with
# EXISTS and to sort.
AVAILABLE = f"""
SELECT benefit.id, title, recurrence
FROM venue CROSS JOIN person
LEFT JOIN benefit ON venue_id = venue.id AND {IS_AVAILABLE}
WHERE venue.id = %(venue)s AND person.id = %(person)s
"""  # noqa: S608

OFFERS = f"""
SELECT benefit.id, title, recurrence, {IS_AVAILABLE},
       benefits_available_at(%(person)s, benefit.id, {SPAN}, %(at)s)
FROM venue CROSS JOIN person
LEFT JOIN benefit ON venue_id = venue.id
WHERE venue.id = %(venue)s AND person.id = %(person)s
"""  # noqa: S608


@dataclass(frozen=True)
class Offer:
    """A benefit as it is for one person: `is_available` by the uses up to the instant asked for,
    `available_at` when a recording first succeeds, which also later uses may forbid."""

    id: int
    title: str
    recurrence: str
    is_available: bool
    available_at: datetime


def available(*, person: int, venue: int, at: datetime) -> list[tuple[int, str, str]]:
    """Id, title and recurrence of what the person may use, by id. Raises NotFound."""
    found: list[tuple[int, str, str]] = answered(AVAILABLE, person, venue, at)
    return found


def offers(*, person: int, venue: int, at: datetime) -> list[Offer]:
    """Every benefit of the venue, by id. Raises NotFound when person or venue is unknown."""
    return [Offer(*row) for row in answered(OFFERS, person, venue, at)]


def answered(statement: str, person: int, venue: int, at: datetime) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"person": person, "venue": venue, "at": at})
        rows = cursor.fetchall()
    if not rows:
        raise NotFound()
    return sorted(row for row in rows if row[0] is not None)
