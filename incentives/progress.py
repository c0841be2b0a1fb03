"""How far a member is right now: the standing, and on top what has not been evaluated yet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection

from incentives import log
from incentives.counting import Happening, Odd, Offer, Period, Standing, Version, advance, recount
from incentives.offers import members, offers_of

# What nothing can take back any more is achieved whatever the log says; all else the log tells.
# One statement and so one moment: an event is either in a standing or still waits, never both.
SNAPSHOT = """
SELECT 'standing', incentive_id, rule_id, state, reached, first_at, latest_at, last_counted_on,
       NULL, NULL
FROM incentives_progress WHERE user_id = %(user_id)s
UNION ALL
SELECT 'waiting', event.id, NULL, event.data, NULL, event.occurred_at, event.retracted_at, NULL,
       event.type, event.timezone
FROM incentives_waiting waiting LEFT JOIN incentives_event event ON event.id = waiting.event_id
WHERE waiting.user_id = %(user_id)s
UNION ALL
SELECT DISTINCT 'held', incentive_id, NULL::bigint, NULL::jsonb, NULL::bigint, NULL::timestamptz,
       NULL::timestamptz, NULL::date, NULL, NULL
FROM incentives_achievement
WHERE user_id = %(user_id)s AND status IN ('fulfilled', 'rejected')
"""


@dataclass(slots=True)
class Snapshot:
    standings: dict[int, tuple[Any, ...]]
    waiting: list[Happening]
    is_everything: bool
    held: set[int]

    @classmethod
    def of(cls, user_id: str) -> "Snapshot":
        found = cls({}, [], False, set())
        with connection.cursor() as cursor:
            cursor.execute(SNAPSHOT, {"user_id": user_id})
            for kind, id, rule, content, reached, first, second, day, type_, zone in cursor:
                if kind == "standing":
                    found.standings[id] = (rule, content, reached, first, second, day)
                elif kind == "held":
                    found.held.add(id)
                elif id is None or second is not None:
                    found.is_everything = True
                else:
                    happening = Happening(first, type_, zone, id, log.read_data(content))
                    found.waiting.append(happening)
        return found


def progress_of(user_id: str) -> list[dict[str, Any]]:
    """An entry for each incentive that the user is or was offered, in a stable order."""
    snapshot = Snapshot.of(user_id)
    periods = members([user_id]).get(user_id, {})
    offers = [offer for offer in offers_of(periods) if is_offered(offer, periods[offer.employer])]
    standings = {}
    odd = []
    for offer in offers:
        try:
            standings[offer.incentive] = overlaid(snapshot, offer, periods[offer.employer])
        except Odd:
            odd.append(offer)
    if odd:
        types = frozenset[str]().union(*(offer.types for offer in odd))
        happenings = log.happenings([user_id], types)[user_id]
        for offer in odd:
            standings[offer.incentive] = recount(offer, happenings, periods[offer.employer])
    return [
        entry(offer, standings[offer.incentive], offer.incentive in snapshot.held)
        for offer in offers
    ]


def is_offered(offer: Offer, periods: Sequence[Period]) -> bool:
    return any(
        (offer.ends_on is None or period.starts_on <= offer.ends_on)
        and (period.ends_on is None or offer.starts_on <= period.ends_on)
        for period in periods
    )


def overlaid(snapshot: Snapshot, offer: Offer, periods: Sequence[Period]) -> Standing | None:
    """Raises Odd where only the log can tell."""
    if snapshot.is_everything:
        raise Odd
    standing = None
    if row := snapshot.standings.get(offer.incentive):
        rule, state, *rest = row
        version = next(each for each in offer.versions if each.id == rule)
        standing = Standing(version, json.loads(state), *rest)
    heard = [each for each in snapshot.waiting if each.type in offer.types]
    return advance(standing, offer, heard, periods) if heard else standing


def entry(offer: Offer, standing: Standing | None, is_held: bool) -> dict[str, Any]:
    version: Version = standing.version if standing else offer.versions[-1]
    structure = version.structure
    is_achieved = is_held or (standing is not None and standing.reached > 0)
    current = structure.current(standing.state) if standing else 0
    last: date | None = standing.last_counted_on if standing else None
    return {
        "programme": offer.programme_slug,
        "incentive": offer.slug,
        "structure": structure.structure,
        "current": structure.target if is_achieved else min(current, structure.target),
        "target": structure.target,
        "unit": structure.unit,
        "achieved": is_achieved,
        "last_counted_on": last,
    }
