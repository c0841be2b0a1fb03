"""Members' standings at rest: read and written many at once."""

import json
from collections.abc import Iterable, Mapping

from django.db import connection

from incentives.counting import Standing, Version

Standings = Mapping[tuple[str, int], Standing]

LOAD = """
SELECT user_id, incentive_id, rule_id, state, reached, first_at, latest_at, last_counted_on
FROM incentives_progress WHERE user_id = ANY (%s)
"""

# One JSON document is quicker to write than PostgreSQL's arrays, column by column.
SAVE = """
INSERT INTO incentives_progress AS mine
    (user_id, incentive_id, rule_id, state, reached, first_at, latest_at, last_counted_on)
SELECT * FROM json_to_recordset(%s::json) AS given (
    user_id varchar, incentive_id bigint, rule_id bigint, state jsonb, reached bigint,
    first_at timestamptz, latest_at timestamptz, last_counted_on date
)
ON CONFLICT (user_id, incentive_id) DO UPDATE
SET rule_id = EXCLUDED.rule_id, state = EXCLUDED.state, reached = EXCLUDED.reached,
    first_at = EXCLUDED.first_at, latest_at = EXCLUDED.latest_at,
    last_counted_on = EXCLUDED.last_counted_on
"""

EMPLOYERS = """
SELECT DISTINCT programme.employer_id FROM incentives_progress progress
JOIN incentives_incentive incentive ON incentive.id = progress.incentive_id
JOIN incentives_programme programme ON programme.id = incentive.programme_id
WHERE progress.user_id = ANY (%s)
"""

DROP = """
DELETE FROM incentives_progress
USING unnest(%s::varchar[], %s::bigint[]) AS gone (user_id, incentive_id)
WHERE incentives_progress.user_id = gone.user_id
  AND incentives_progress.incentive_id = gone.incentive_id
"""


def load(users: Iterable[str], versions: Mapping[int, Version]) -> dict[tuple[str, int], Standing]:
    """By user and incentive; only those under one of these rules."""
    with connection.cursor() as cursor:
        cursor.execute(LOAD, [list(users)])
        return {
            (user_id, incentive): Standing(versions[rule], json.loads(state), *rest)
            for user_id, incentive, rule, state, *rest in cursor
            if rule in versions
        }


def employers_of(users: Iterable[str]) -> set[int]:
    """Those in whose programmes the users stand somewhere."""
    with connection.cursor() as cursor:
        cursor.execute(EMPLOYERS, [list(users)])
        return {employer for (employer,) in cursor}


def save(standings: Standings) -> None:
    rows = [
        {
            "user_id": user_id,
            "incentive_id": incentive,
            "rule_id": each.version.id,
            "state": each.state,
            "reached": each.reached,
            "first_at": each.first_at,
            "latest_at": each.latest_at,
            "last_counted_on": each.last_counted_on,
        }
        for (user_id, incentive), each in standings.items()
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(SAVE, [json.dumps(rows, default=str)])


def drop(pairs: Iterable[tuple[str, int]]) -> None:
    rows = list(pairs)
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(DROP, [list(column) for column in zip(*rows, strict=True)])
