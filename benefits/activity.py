"""What is kept of the uses beside them: how it is cut into days, proved and made anew."""

from collections.abc import Iterator
from datetime import date, timedelta

from django.db import connection, transaction

# Days; the triggers in the first migration say the same. Half a year of one benefit is then some
# eleven blocks and fifteen single days.
BLOCK = 16

# The same sums as the triggers keep, from the uses themselves.
COMPUTED = f"""
SELECT days, day - (day - DATE '0001-01-01') % days AS starts_on, benefit_id,
       sum(uses)::int AS uses, min(first_at) AS first_at, max(last_at) AS last_at
FROM (
    SELECT benefit_id, (usage_timestamp AT TIME ZONE 'UTC')::date AS day, count(*) AS uses,
           min(usage_timestamp) AS first_at, max(usage_timestamp) AS last_at
    FROM benefit_usage GROUP BY 1, 2
) AS daily
CROSS JOIN (VALUES ({BLOCK}), (1)) AS span (days)
GROUP BY 1, 2, 3
"""  # noqa: S608  # the only thing put in is a constant

REBUILD = f"""
INSERT INTO benefits_activity (days, starts_on, benefit_id, uses, first_at, last_at)
{COMPUTED} ORDER BY 1, 2, 3
"""

DIFFERENT = f"""
SELECT days, starts_on, benefit_id, kept.uses, kept.first_at, kept.last_at,
       computed.uses, computed.first_at, computed.last_at
FROM benefits_activity AS kept
FULL JOIN ({COMPUTED}) AS computed USING (days, starts_on, benefit_id)
WHERE (kept.uses, kept.first_at, kept.last_at)
    IS DISTINCT FROM (computed.uses, computed.first_at, computed.last_at)
ORDER BY benefit_id, days DESC, starts_on
"""  # noqa: S608


def block_of(day: date) -> date:
    """The first day of its block; like the triggers, counted from the first day there is."""
    return day - timedelta(days=(day - date.min).days % BLOCK)


def rebuild() -> int:
    """Make the activity what the uses say; the number of rows. Recordings wait meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE benefit_usage IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("TRUNCATE benefits_activity")
        # Which lets nothing in that does not come from the uses' own triggers.
        cursor.execute("ALTER TABLE benefits_activity DISABLE TRIGGER benefits_activity_is_derived")
        cursor.execute(REBUILD)
        made: int = cursor.rowcount
        cursor.execute("ALTER TABLE benefits_activity ENABLE TRIGGER benefits_activity_is_derived")
        return made


def discrepancies() -> Iterator[str]:
    """What is wrong, a line each, naming the benefit and the days; nothing when all adds up."""
    # One statement sees one moment, so uses that arrive meanwhile are not taken for faults.
    with connection.cursor() as cursor:
        cursor.execute(DIFFERENT)
        for days, starts_on, benefit, *figures in cursor.fetchall():
            kept, computed = figures[:3], figures[3:]
            yield (
                f"benefit {benefit}, {days} day{'s' if days > 1 else ''} from {starts_on}: "
                f"kept {described(kept)}, its uses say {described(computed)}"
            )


def described(figures: list[object]) -> str:
    uses, first_at, last_at = figures
    return f"{uses} from {first_at} to {last_at}" if uses else "nothing"
