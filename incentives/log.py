"""The log of events: taken in once each, retracted, and read back in the order of time."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection, transaction

from common.idempotency import CANONICAL, KeyReused
from common.problems import NotFound
from incentives.counting import Happening
from incentives.models import Event


class Report(NamedTuple):
    """An event as somebody reports it, checked."""

    event_id: str
    user_id: str
    type: str
    occurred_at: datetime
    timezone: str
    data: str


def as_text(data: Mapping[str, Any]) -> str:
    """Exact, and the same text for the same meaning: decimals become text, whole ones integers."""
    return CANONICAL.encode(whole(data)) if data else "{}"


def whole(value: Any) -> Any:
    """`5.0` is 5 and is stored as 5."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, Mapping):
        return {name: whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return value


# In the order of ids, so that two lists with the same ones wait for each other, not in a ring.
RECORD = """
INSERT INTO incentives_event (owner, event_id, user_id, type, occurred_at, timezone, data)
SELECT %s, * FROM unnest(%s::varchar[], %s::varchar[], %s::varchar[], %s::timestamptz[],
                         %s::varchar[], %s::jsonb[]) AS given (event_id)
ORDER BY event_id
ON CONFLICT (owner, event_id) DO NOTHING
"""

RECORD_ONE = """
INSERT INTO incentives_event (owner, event_id, user_id, type, occurred_at, timezone, data)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (owner, event_id) DO NOTHING
"""

DIFFERENT = """
SELECT given.event_id FROM unnest(%s::varchar[], %s::varchar[], %s::varchar[], %s::timestamptz[],
                                  %s::varchar[], %s::jsonb[])
     AS given (event_id, user_id, type, occurred_at, timezone, data)
JOIN incentives_event event ON event.owner = %s AND event.event_id = given.event_id
WHERE (event.user_id, event.type, event.occurred_at, event.timezone, event.data)
      IS DISTINCT FROM
      (given.user_id, given.type, given.occurred_at, given.timezone, given.data)
LIMIT 1
"""


def record(*, owner: str, reports: Sequence[Report]) -> int:
    """Take events in, all or none, and tell how many were new.

    Raises KeyReused when an id came before, or comes twice here, with another meaning.
    """
    if len(reports) == 1:
        # One statement, one round trip; nothing is there to roll back.
        with connection.cursor() as cursor:
            cursor.execute(RECORD_ONE, [owner, *reports[0]])
            if cursor.rowcount == 1:
                return 1
        expect_same(owner, reports)
        return 0
    unique = {report.event_id: report for report in reports}
    for report in reports:
        if unique[report.event_id] != report:
            raise KeyReused(f"The list has the id {report.event_id} twice, not the same.")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(RECORD, [owner, *columns(unique.values())])
            accepted: int = cursor.rowcount
        if accepted < len(unique):
            expect_same(owner, list(unique.values()))
    return accepted


def expect_same(owner: str, reports: Iterable[Report]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(DIFFERENT, [*columns(reports), owner])
        if row := cursor.fetchone():
            raise KeyReused(f"The id {row[0]} was used with another body.")


def columns(reports: Iterable[Report]) -> list[list[Any]]:
    return [list(column) for column in zip(*reports, strict=True)]


def retract(*, owner: str, event_id: str, now: datetime) -> None:
    """Take back what was reported; again is fine. Raises NotFound."""
    events = Event.objects.filter(owner=owner, event_id=event_id)
    # The trigger makes the member wait for a recount.
    if not events.filter(retracted_at=None).update(retracted_at=now) and not events.exists():
        raise NotFound()


READ = """
SELECT user_id, occurred_at, id, type, timezone, data FROM incentives_event event
WHERE user_id = ANY (%(users)s) AND type = ANY (%(types)s) AND retracted_at IS NULL
"""

# What came in meanwhile still waits, and is counted when its turn comes: not twice. It is read in
# one statement with the log, and told apart by us: a join that was planned while nobody waited
# looks for each event among all that wait for its user.
WAITING = """
UNION ALL
SELECT user_id, NULL, event_id, NULL, NULL, NULL FROM incentives_waiting
WHERE user_id = ANY (%(users)s) AND event_id IS NOT NULL
"""


def happenings(
    users: Collection[str], types: Collection[str], *, are_waiting_left_out: bool = False
) -> dict[str, list[Happening]]:
    """What these users' log holds of these types, unordered."""
    found: dict[str, list[Happening]] = {user_id: [] for user_id in users}
    if users and types:
        with connection.cursor() as cursor:
            cursor.execute(
                READ + WAITING if are_waiting_left_out else READ,
                {"users": list(users), "types": list(types)},
            )
            rows = cursor.fetchall()
        waiting = {event for _, at, event, *_ in rows if at is None}
        for user_id, at, event, kind, zone, data in rows:
            if event not in waiting:
                found[user_id].append(Happening(at, kind, zone, event, read_data(data)))
    return found


@lru_cache(maxsize=1024)
def read_data(data: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(data, parse_float=Decimal)
    return found
