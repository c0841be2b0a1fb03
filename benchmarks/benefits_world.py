"""A thousand venues and their uses, and how all of it is asked and timed."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connection

from benchmarks.report import heading
from benefits import activity

VENUES, PER_VENUE, PERSONS, DAYS = 1_000, 10, 200_000, 400
BUSIEST = 1  # the person with very many uses

# Venue 1 has a twentieth of all uses, the others a skewed rest; so have a venue's benefits.
WORLD = f"""
TRUNCATE venue, person, benefit, benefit_usage RESTART IDENTITY CASCADE;
INSERT INTO venue (name) SELECT 'Venue ' || n FROM generate_series(1, {VENUES}) AS n;
INSERT INTO person (name) SELECT 'Person ' || n FROM generate_series(1, {PERSONS}) AS n;
INSERT INTO benefit (venue_id, title, recurrence, created_at)
SELECT venue, 'Benefit ' || n, (ARRAY['day', 'week', 'month'])[1 + n % 3],
       now() - interval '2 years'
FROM generate_series(1, {VENUES}) AS venue, generate_series(1, {PER_VENUE}) AS n;
"""
USES = f"""
INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp)
SELECT CASE WHEN random() < 0.01 THEN {BUSIEST} ELSE 1 + floor({PERSONS} * random()) END,
       1 + floor({PER_VENUE} * random() ^ 2) + {PER_VENUE} * CASE
           WHEN random() < 0.05 THEN 0 ELSE floor({VENUES} * random() ^ 1.5)
       END,
       moment
FROM (SELECT now() - random() * interval '{DAYS * 24} hours' AS moment
      FROM generate_series(1, %s) ORDER BY 1) AS moments
"""


def seed(rows: int) -> None:
    heading(f"Benefits: {rows:,} uses, {VENUES} venues of {PER_VENUE} benefits, {DAYS} days")
    started = time.perf_counter()
    execute("SELECT setseed(0.42)")
    execute(WORLD)
    indexes = [
        row[0]
        for row in fetch(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'benefit_usage'"
            " AND indexname LIKE 'benefit_usage_of_%%'",
            {},
        )
    ]
    execute("DROP INDEX benefit_usage_of_person, benefit_usage_of_benefit")
    # Past triggers and foreign keys, as a restore does; what those cost is measured below.
    execute("SET session_replication_role = replica")
    execute(USES, [rows])
    execute("SET session_replication_role = origin")
    for definition in indexes:
        execute(definition)
    loaded = time.perf_counter()
    kept = activity.rebuild()
    rebuilt = time.perf_counter()
    for table in ("venue", "person", "benefit", "benefit_usage", "benefits_activity"):
        execute(f"VACUUM ANALYZE {table}")
    print(
        f"loaded and indexed in {loaded - started:.0f} s; counted by weeks in "
        f"{rebuilt - loaded:.0f} s: {kept:,} rows, {size('benefits_activity')} beside the "
        f"{size('benefit_usage')} of the uses"
    )
    started = time.perf_counter()
    assert list(activity.discrepancies()) == []
    print(f"all of it proved in {time.perf_counter() - started:.0f} s")


def size(table: str) -> str:
    [(text,)] = fetch("SELECT pg_size_pretty(pg_total_relation_size(%(table)s::regclass))",
                      {"table": table})  # fmt: skip
    return str(text)


def execute(statement: str, parameters: list[Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def fetch(statement: str, parameters: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[Any] = cursor.fetchall()
        return rows


def milliseconds(call: Callable[[], Any], times: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times * 1000
