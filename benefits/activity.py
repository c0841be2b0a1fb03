"""What the uses of each benefit add up to by weeks: folded, proved and made anew."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

WEEK = timedelta(days=7)

# The triggers of the second migration write changes in the same weeks.
COMPUTED = """
SELECT date_trunc('week', usage_timestamp AT TIME ZONE 'UTC')::date AS starts_on, benefit_id,
       count(*) AS uses
FROM benefit_usage GROUP BY 1, 2
"""

# What is kept is both: what was folded, and what came since. Hence a statement sees either all
# of a change in the one or all of it in the other.
KEPT = """
SELECT starts_on, benefit_id, uses FROM benefits_activity
UNION ALL
SELECT starts_on, benefit_id, uses FROM benefits_change
"""

REBUILD = f"""
INSERT INTO benefits_activity (starts_on, benefit_id, uses) {COMPUTED} ORDER BY 1, 2
"""

# Whoever folds at the same time passes over what the other took.
FOLD = """
WITH taken AS (DELETE FROM benefits_change RETURNING starts_on, benefit_id, uses)
INSERT INTO benefits_activity AS kept (starts_on, benefit_id, uses)
SELECT starts_on, benefit_id, sum(uses) FROM taken GROUP BY 1, 2 HAVING sum(uses) <> 0 ORDER BY 1, 2
ON CONFLICT (starts_on, benefit_id) DO UPDATE SET uses = kept.uses + excluded.uses
"""

DIFFERENT = f"""
SELECT benefit_id, starts_on, coalesce(kept.uses, 0), coalesce(computed.uses, 0)
FROM (SELECT starts_on, benefit_id, sum(uses) AS uses FROM ({KEPT}) AS parts GROUP BY 1, 2) AS kept
FULL JOIN ({COMPUTED}) AS computed USING (starts_on, benefit_id)
WHERE coalesce(kept.uses, 0) <> coalesce(computed.uses, 0)
ORDER BY benefit_id, starts_on
"""  # noqa: S608  # the only things put in are constants

# Lets the writes of this transaction pass the trigger that keeps dumps and fixtures out.
OURS = "SET LOCAL benefits.keeps_activity = on"


def week_of(moment: datetime) -> date:
    """The Monday of its week in UTC, as in the triggers."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def fold() -> int:
    """Add the changes to their weeks; the number of weeks that took some. Nobody waits for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(OURS)
        cursor.execute(FOLD)
        folded: int = cursor.rowcount
        return folded


def rebuild() -> int:
    """Make the activity what the uses say; the number of rows. Recordings wait meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE benefit_usage IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("TRUNCATE benefits_change, benefits_activity")
        cursor.execute(OURS)
        cursor.execute(REBUILD)
        made: int = cursor.rowcount
        return made


def discrepancies() -> Iterator[str]:
    """What is wrong, a line each, naming benefit and week; nothing when all adds up."""
    # One statement sees one moment, so uses that arrive meanwhile are not taken for faults.
    with connection.cursor() as cursor:
        cursor.execute(DIFFERENT)
        for benefit, starts_on, kept, computed in cursor.fetchall():
            yield f"benefit {benefit}, week of {starts_on}: kept {kept}, its uses are {computed}"
