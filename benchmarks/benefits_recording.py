"""Uses written, against a bare insert with the same indexes; and what each structure costs."""

import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial

from django.db import connection
from django.utils import timezone

from benchmarks.benefits_world import PER_VENUE, PERSONS, VENUES, execute, fetch, milliseconds
from benchmarks.report import heading, ratio
from benefits import activity, popularity
from config import embedded_postgres

SECONDS = int(os.environ.get("BENEFITS_SECONDS", "2"))  # of each measurement

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


def run() -> None:
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
