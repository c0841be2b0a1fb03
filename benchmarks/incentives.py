"""Events: taken in against a bare WSGI app, evaluated against SQL written for streaks alone."""

import itertools
import json
import os
import random
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from functools import partial

from django.db import connection, transaction
from django.utils import timezone

from benchmarks import incentives_partners, load, server
from benchmarks.report import heading, ratio
from common.models import ApiKey
from incentives import evaluation, log
from incentives.models import Eligibility, Employer, Incentive, Programme, Rule, Waiting
from incentives.programmes import publish_programme, publish_rule

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
MEMBERS = int(2_000 * SCALE)
STREAK = {"structure": "consecutive_days", "event": "health_data_logged", "days": 5}
START = datetime(2025, 1, 1, 12, tzinfo=UTC)
members = itertools.count(1)


def run() -> None:
    heading("Incentives: events per second through HTTP (ours : bare WSGI, the same insert)")
    employer = Employer.objects.create(slug="bench", name="Bench", timezone="America/New_York")
    _, secret = ApiKey.issue(owner="bench", scopes=["incentives.write"])
    bare_one = "benchmarks.bare_incentives:application"
    with server.ours_and(bare_one, BARE_STATEMENT=log.RECORD_ONE) as (ours, bare):
        for port in (bare, ours):
            load.run(port, reporting(secret), seconds=2)
        for programmes in (0, 50):
            for number in range(programmes):
                offer(employer, f"busy-{number}")
            ratio(
                f"POST /incentives/events/, {programmes} active programmes",
                partial(rate, ours, reporting(secret)),
                partial(rate, bare, reporting(secret)),
            )
    forget()

    heading("Incentives: events per second evaluated by one worker (ours : SQL for streaks alone)")
    one = Employer.objects.create(slug="one", name="One", timezone="America/New_York")
    offer(one, "streak")
    prepare_rival()
    ratio("5 days each in a row, 1 programme", partial(evaluated, one), partial(rival, one))
    ratio("the same, shuffled", partial(evaluated, one, True), partial(rival, one, True))
    heading("Incentives: one more day each, by length of history (long : short)")
    for label, every in (("without gaps", 1), ("every other day", 2)):
        long, short = (OneMoreDay(one, days, every) for days in (700, 7))
        ratio(f"700 days of history against 7, {label}", long.evaluated, short.evaluated)
    incentives_partners.run()


def reporting(secret: str) -> load.Request:
    def request(number: int) -> bytes:
        body = {
            "id": uuid.uuid4().hex,
            "user_id": str(random.randint(1, 1_000_000)),
            "type": "health_data_logged",
            "occurred_at": "2026-06-01T12:00:00Z",
            "timezone": "America/New_York",
        }
        return load.post(
            "/api/v1/incentives/events/",
            json.dumps(body).encode(),
            Authorization=f"Bearer {secret}",
        )

    return request


def rate(port: int, request: load.Request) -> float:
    result = load.run(port, request)
    assert set(result.statuses) == {202}, result.statuses
    return result.rate


def offer(employer: Employer, slug: str) -> None:
    now = timezone.now()
    programme = Programme.objects.create(
        slug=slug, name=slug, employer=employer, starts_on=date(2020, 1, 1)
    )
    incentive = Incentive.objects.create(programme=programme, slug="streak", name="Streak")
    rule = Rule.objects.create(incentive=incentive, number=1, structure=STREAK, reward="Pillow")
    publish_rule(rule=rule, by=None, now=now)
    publish_programme(programme=programme, now=now)


def forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE incentives_waiting")


def newcomers(employer: Employer, count: int) -> list[str]:
    users = [str(10**9 + next(members)) for _ in range(count)]
    Eligibility.objects.bulk_create(
        Eligibility(employer=employer, user_id=user_id, starts_on=date(2020, 1, 1))
        for user_id in users
    )
    forget()
    return users


def report(events: list[tuple[str, datetime]]) -> None:
    for start in range(0, len(events), 500):
        log.record(
            owner="bench",
            reports=[
                log.Report(uuid.uuid4().hex, user_id, "health_data_logged", at, "", "{}")
                for user_id, at in events[start : start + 500]
            ],
        )


def five_days(employer: Employer, is_shuffled: bool) -> int:
    users = newcomers(employer, MEMBERS)
    events = [(user_id, START + timedelta(days=day)) for day in range(5) for user_id in users]
    if is_shuffled:
        random.shuffle(events)
    report(events)
    return len(events)


def drain() -> float:
    """Seconds until nobody waits."""
    started = time.perf_counter()
    while evaluation.evaluate_all(now=timezone.now(), deadline=float("inf")):
        pass
    assert not Waiting.objects.exists()
    return time.perf_counter() - started


def evaluated(employer: Employer, is_shuffled: bool = False) -> float:
    count = five_days(employer, is_shuffled)
    return count / drain()


class OneMoreDay:
    """Members who logged for so many days, and go on."""

    def __init__(self, employer: Employer, days: int, every: int) -> None:
        self.users = newcomers(employer, int(100 * SCALE))
        self.days = itertools.count(0, every)
        for _ in range(days):
            self.log()
        drain()

    def log(self) -> None:
        at = START + timedelta(days=next(self.days))
        report([(user_id, at) for user_id in self.users])

    def evaluated(self) -> float:
        self.log()
        return len(self.users) / drain()


RIVAL = """
CREATE TABLE rival_streak (user_id varchar(36) PRIMARY KEY, days datemultirange NOT NULL);
CREATE TABLE rival_award (user_id varchar(36) PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
"""

# What somebody would write who had streaks of one length and nothing else to do.
TAKE = """
CREATE TEMPORARY TABLE batch ON COMMIT DROP AS
WITH taken AS (
    DELETE FROM incentives_waiting WHERE id = ANY (ARRAY(
        SELECT id FROM incentives_waiting ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
    )) RETURNING event_id
)
SELECT event.user_id, range_agg(daterange(day, day, '[]')) AS days
FROM taken JOIN incentives_event event ON event.id = taken.event_id
JOIN incentives_eligibility member ON member.user_id = event.user_id
CROSS JOIN LATERAL (SELECT (event.occurred_at AT TIME ZONE 'America/New_York')::date AS day) local
WHERE day >= member.starts_on AND (member.ends_on IS NULL OR day <= member.ends_on)
GROUP BY event.user_id
"""
CREDIT = """
INSERT INTO rival_streak AS mine SELECT user_id, days FROM batch
ON CONFLICT (user_id) DO UPDATE SET days = mine.days + EXCLUDED.days
"""
AWARD = """
INSERT INTO rival_award (user_id)
SELECT user_id FROM rival_streak JOIN batch USING (user_id)
WHERE EXISTS (
    SELECT FROM unnest(rival_streak.days) AS run WHERE upper(run) - lower(run) >= 5
)
ON CONFLICT DO NOTHING
"""


def prepare_rival() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS rival_streak, rival_award")
        cursor.execute(RIVAL)


def rival(employer: Employer, is_shuffled: bool = False) -> float:
    count = five_days(employer, is_shuffled)
    started, is_busy = time.perf_counter(), True
    while is_busy:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(TAKE)
            cursor.execute(CREDIT)
            is_busy = cursor.rowcount > 0
            cursor.execute(AWARD)
    return count / (time.perf_counter() - started)
