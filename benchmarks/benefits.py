"""The three reads and recording, each against hand-written SQL on the same uses."""

# BENEFITS_ROWS: how many uses, or several such numbers to see how everything grows.

import itertools
import os
import random
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Q
from django.utils import timezone

from benchmarks import load, server
from benchmarks.report import heading, ratio
from benefits import activity, availability, idleness, popularity
from benefits.models import Benefit, BenefitUsage, Venue
from benefits.recurrence import WINDOW, Recurrence
from config import embedded_postgres

SIZES = [int(each) for each in os.environ.get("BENEFITS_ROWS", "10000000").split()]
VENUES, PER_VENUE, PERSONS, DAYS = 1_000, 10, 200_000, 400
HOTTEST, AVERAGE, BUSIEST = 1, 500, 1  # venues; and the person with very many uses
SECONDS = int(os.environ.get("BENEFITS_SECONDS", "2"))  # of each write measurement
GATEWAY = {"x_gateway_secret": settings.GATEWAY_SECRET}

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

GROUP_BY = """
SELECT venue.id, benefit_id, uses
FROM venue LEFT JOIN (
    SELECT venue_id, benefit_id, uses,
           row_number() OVER (PARTITION BY venue_id ORDER BY uses DESC, benefit_id) AS place
    FROM (SELECT benefit_id, count(*) AS uses FROM benefit_usage
          WHERE usage_timestamp >= %(start)s AND usage_timestamp <= %(now)s
          GROUP BY benefit_id) AS counted
    JOIN benefit ON benefit.id = benefit_id
) AS best ON venue_id = venue.id AND place <= 3
ORDER BY venue.id, place
"""
LATERAL_COUNT = """
SELECT venue.id, best.id, uses
FROM venue LEFT JOIN LATERAL (
    SELECT benefit.id, uses
    FROM benefit CROSS JOIN LATERAL (
        SELECT count(*) AS uses FROM benefit_usage
        WHERE benefit_id = benefit.id
          AND usage_timestamp >= %(start)s AND usage_timestamp <= %(now)s
    ) AS counted
    WHERE venue_id = venue.id AND uses > 0 ORDER BY uses DESC, benefit.id LIMIT 3
) AS best ON true
ORDER BY venue.id, uses DESC, best.id
"""
LATERAL_LAST = """
SELECT id, title, recurrence
FROM benefit LEFT JOIN LATERAL (
    SELECT usage_timestamp AS last FROM benefit_usage
    WHERE person_id = %(person)s AND benefit_id = benefit.id AND usage_timestamp <= %(at)s
    ORDER BY usage_timestamp DESC LIMIT 1
) AS used ON true
WHERE venue_id = %(venue)s
  AND (last IS NULL OR last <= %(at)s - CASE recurrence
       WHEN 'day' THEN interval '24 hours' WHEN 'week' THEN interval '168 hours'
       ELSE interval '720 hours' END)
ORDER BY id
"""
GAPS = """
SELECT benefit_id, since, until FROM (
    SELECT benefit_id, recurrence, moment AS since,
           lead(moment) OVER (PARTITION BY benefit_id ORDER BY moment) AS until
    FROM (
        SELECT id AS benefit_id, recurrence, %(start)s::timestamptz AS moment
        FROM benefit WHERE venue_id = %(venue)s
      UNION ALL
        SELECT benefit.id, recurrence, usage_timestamp
        FROM benefit JOIN benefit_usage ON benefit_id = benefit.id
        WHERE venue_id = %(venue)s
          AND usage_timestamp >= %(start)s AND usage_timestamp <= %(now)s
      UNION ALL
        SELECT id, recurrence, %(now)s FROM benefit WHERE venue_id = %(venue)s
    ) AS moments
) AS gaps
WHERE until - since >= CASE recurrence WHEN 'day' THEN interval '336 hours'
      WHEN 'week' THEN interval '504 hours' ELSE interval '720 hours' END
ORDER BY benefit_id, since
"""


def run() -> None:
    for rows in SIZES:
        seed(rows)
        now = timezone.now()
        tops(now)
        availabilities(now)
        http()
        silences(now)
        recordings()


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


def usual(label: str, call: Callable[[], Any], *, times: int = 1) -> None:
    """What people write first, measured once."""
    print(f"{label:58} {milliseconds(call, times):9.1f} ms")


# Top


def tops(now: datetime) -> None:
    heading("Benefits: top three of all venues, in ms (ours : hand-written SQL)")
    window = {"start": now - WINDOW, "now": now}
    ours = partial(popularity.top, now=now)
    flat = [(venue, each.benefit_id, each.uses) for venue, best in ours() for each in best]
    for label, statement in (
        ("one GROUP BY", GROUP_BY),
        ("a count for each benefit, laterally", LATERAL_COUNT),
    ):
        assert [row for row in fetch(statement, window) if row[1] is not None] == flat
        ratio(f"top : {label}", partial(milliseconds, ours),
              partial(milliseconds, partial(fetch, statement, window)))  # fmt: skip
    venue = partial(popularity.top_of, AVERAGE, now=now)
    usual("ours, one venue", venue, times=20)
    usual("a query for each venue, 20 of them", partial(each_venue, now))
    usual("every use into Python", partial(every_use, now))


def each_venue(now: datetime) -> None:
    for venue in Venue.objects.all()[:: VENUES // 20]:
        inside = Q(usages__usage_timestamp__gte=now - WINDOW, usages__usage_timestamp__lte=now)
        counted = venue.benefits.annotate(uses=Count("usages", filter=inside))
        list(counted.filter(uses__gt=0).order_by("-uses", "id")[:3])


def every_use(now: datetime) -> None:
    uses = BenefitUsage.objects.filter(usage_timestamp__gte=now - WINDOW, usage_timestamp__lte=now)
    Counter(uses.values_list("benefit_id", flat=True).iterator(chunk_size=100_000))


# Available


def availabilities(now: datetime) -> None:
    heading("Benefits: available, in µs (ours : the best lateral statement)")
    for label, person in (("anybody", None), (f"one with {uses_of(BUSIEST):,} uses", BUSIEST)):
        ours, rival = asked(now, person), asked(now, person)
        assert all(answer(ours) == answer_laterally(rival) for _ in range(50))
        ratio(
            f"available : lateral, {label}",
            partial(microseconds, partial(answer, ours)),
            partial(microseconds, partial(answer_laterally, rival)),
        )
    questions = asked(now, None)
    usual("a query for each benefit", lambda: each_benefit(**next(questions)), times=50)
    usual("Max(filter=…) over a join", lambda: joined(**next(questions)), times=50)


def answer(questions: Iterator[dict[str, Any]]) -> Any:
    return availability.available(**next(questions))


def answer_laterally(questions: Iterator[dict[str, Any]]) -> Any:
    return fetch(LATERAL_LAST, next(questions))


def asked(now: datetime, person: int | None) -> Iterator[dict[str, Any]]:
    """The same questions in the same order each time."""
    source = random.Random(7)
    while True:
        who = person or source.randint(2, PERSONS)
        yield {"person": who, "venue": source.randint(1, VENUES), "at": now}


def microseconds(call: Callable[[], Any], times: int = 1000) -> float:
    return milliseconds(call, times) * 1000


def uses_of(person: int) -> int:
    return BenefitUsage.objects.filter(person=person).count()


def each_benefit(person: int, venue: int, at: datetime) -> list[Benefit]:
    found = []
    for benefit in Benefit.objects.filter(venue=venue):
        uses = benefit.usages.filter(person=person, usage_timestamp__lte=at)
        last = uses.order_by("-usage_timestamp").first()
        span = Recurrence(benefit.recurrence).span
        if last is None or at >= last.usage_timestamp + span:
            found.append(benefit)
    return found


def joined(person: int, venue: int, at: datetime) -> list[Benefit]:
    mine = Q(usages__person=person, usages__usage_timestamp__lte=at)
    benefits = Benefit.objects.filter(venue=venue)
    return list(benefits.annotate(last=Max("usages__usage_timestamp", filter=mine)))


def http() -> None:
    heading("Benefits: available per second through HTTP (ours : bare WSGI, the lateral statement)")
    parameters = connection.get_connection_params()
    dsn = f"host={parameters['host']} dbname={parameters['dbname']} user={parameters['user']}"
    with (
        server.serving(
            "benchmarks.bare_benefits:application", BARE_STATEMENT=LATERAL_LAST, BARE_DATABASE=dsn
        ) as bare,
        server.serving(settings.RSGI_APPLICATION) as ours,
    ):
        for port in (bare, ours):
            load.run(port, question, seconds=2)
        ratio("GET /benefits/available/", partial(rate, ours), partial(rate, bare))


def question(number: int) -> bytes:
    person, venue = random.randint(1, PERSONS), random.randint(1, VENUES)
    return load.get(f"/api/v1/benefits/available/?personId={person}&venueId={venue}", **GATEWAY)


def rate(port: int) -> float:
    result = load.run(port, question)
    assert set(result.statuses) == {200}, result.statuses
    return result.rate


# Inactivity


def silences(now: datetime) -> None:
    heading("Benefits: inactivity of one venue, in ms")
    for venue in (HOTTEST, AVERAGE):
        found = [
            (benefit, *period)
            for benefit, periods in idleness.inactivity(venue=venue, now=now)
            for period in periods
        ]
        window = {"venue": venue, "start": now - WINDOW, "now": now}
        assert found == fetch(GAPS, window)
    hottest = partial(milliseconds, partial(idleness.inactivity, venue=HOTTEST, now=now), 20)
    average = partial(milliseconds, partial(idleness.inactivity, venue=AVERAGE, now=now), 20)
    window = {"venue": HOTTEST, "start": now - WINDOW, "now": now}
    ratio("the hottest venue : an average one, both ours", hottest, average)
    ratio("the hottest venue, ours : lead() over its uses", hottest,
          partial(milliseconds, partial(fetch, GAPS, window)))  # fmt: skip


# Recording

INSERT = """
\\set person random(1, {persons})
\\set benefit random({first}, {last})
INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp)
VALUES (:person, :benefit, now()) RETURNING id;
"""
RECORD = """
\\set person random(1, {persons})
\\set benefit random({first}, {last})
SELECT outcome, id, available_at FROM benefits_record_use(:person, :benefit, now());
"""
BARE = {"PGOPTIONS": "-c session_replication_role=replica"}
MANY = """
INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp)
SELECT 1 + n % 200000, 1 + n % 10000, now() - n * interval '1 minute'
FROM generate_series(1, 50000) AS n
"""


def recordings() -> None:
    heading("Benefits: uses written per second, 8 at once (… : a bare insert, the same indexes)")
    bare, plain = partial(pgbench, INSERT, **BARE), partial(pgbench, INSERT)
    for label, ours in (
        ("the foreign keys", partial(without, "USER", plain)),
        ("… and the counts by weeks: an insert by plain SQL", plain),
    ):
        ratio(label, ours, bare, rounds=3)
    ratio("… and the lock and the look: recording a use", partial(pgbench, RECORD), bare)
    # One after the other, because a person that used it already today is refused.
    hot = itertools.count(1)
    ratio(
        "recording a use of one hot benefit",
        lambda: pgbench(RECORD, only=next(hot)),
        lambda: bare(only=next(hot)),
    )
    # What recording leaves to the worker, and what a read has to do until then.
    now = timezone.now()
    late = milliseconds(partial(popularity.top, now=now), times=5)
    [(changes,)] = fetch("SELECT count(*) FROM benefits_change", {})
    folding = milliseconds(activity.fold)
    execute("VACUUM ANALYZE benefits_change, benefits_activity")
    soon = milliseconds(partial(popularity.top, now=now), times=5)
    print(
        f"{changes:,} changes folded in {folding:.0f} ms, {folding / changes * 1000:.1f} µs each; "
        f"top {late:.0f} ms before, {soon:.0f} ms after"
    )
    many = partial(milliseconds, partial(execute, MANY))
    ratio("50,000 rows in one statement, in ms", many, partial(as_replica, many), rounds=3)
    activity.rebuild()


def without(trigger: str, measure: Callable[[], float]) -> float:
    execute(f"ALTER TABLE benefit_usage DISABLE TRIGGER {trigger}")
    try:
        return measure()
    finally:
        execute(f"ALTER TABLE benefit_usage ENABLE TRIGGER {trigger}")


def as_replica(measure: Callable[[], float]) -> float:
    execute("SET session_replication_role = replica")
    try:
        return measure()
    finally:
        execute("SET session_replication_role = origin")


def pgbench(script: str, *, only: int | None = None, **environment: str) -> float:
    """Transactions per second, durable, through the wheel's own pgbench."""
    parameters = connection.get_connection_params()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        first, last = (only, only) if only else (1, VENUES * PER_VENUE)
        file.write(script.format(persons=PERSONS, first=first, last=last))
        file.flush()
        done = subprocess.run(
            [
                embedded_postgres.binaries() / "pgbench", "-n", "-M", "prepared",
                "-c", "8", "-j", "2", "-T", str(SECONDS), "-f", file.name,
                "-h", parameters["host"], "-p", str(parameters.get("port", 5432)),
                "-U", parameters["user"], parameters["dbname"],
            ],
            env={**os.environ, **environment},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    [found] = re.findall(r"tps = ([0-9.]+)", done.stdout)
    return float(found)
