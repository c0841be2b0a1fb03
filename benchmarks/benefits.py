"""The three reads, each against hand-written SQL on the same uses; recording is beside them."""

# BENEFITS_ROWS: how many uses, or several such numbers to see how everything grows.

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q
from django.utils import timezone

from benchmarks import benefits_recording, load, server
from benchmarks.benefits_world import (
    BUSIEST,
    PERSONS,
    VENUES,
    fetch,
    milliseconds,
    seed,
)
from benchmarks.report import heading, ratio
from benefits import availability, idleness, popularity
from benefits.models import Benefit, BenefitUsage, Venue
from benefits.recurrence import WINDOW, Recurrence

SIZES = [int(each) for each in os.environ.get("BENEFITS_ROWS", "10000000").split()]
HOTTEST, AVERAGE = 1, 500  # venues
GATEWAY = {"x_gateway_secret": settings.GATEWAY_SECRET}

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
        benefits_recording.run()


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
    bare_one = "benchmarks.bare_benefits:application"
    with server.ours_and(bare_one, BARE_STATEMENT=LATERAL_LAST) as (ours, bare):
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
