"""Who may be charged at an instant: the whole list, as fast as the database reads its index."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction

from clubs.models import ClubStatus, Status, Subscription

# The first ones are on their way within milliseconds; the rest by fewer, longer statements.
FIRST_IDS, IDS_PER_CHUNK = 1_000, 20_000

CLUBS = """
SELECT coalesce(array_agg(club_id), '{}') FROM (
    SELECT DISTINCT ON (club_id) club_id, club_status_id FROM club_status_history
    WHERE effect_date <= %s
    ORDER BY club_id, effect_date DESC, create_date DESC NULLS LAST, id DESC
) latest WHERE club_status_id IN (%s, %s)
"""

# One pass over one index, in its order. The clubs make a hash table; of an array a kept plan
# makes none, and would go through all of them for each subscription.
ELIGIBLE = f"""
    FROM clubs_period period
    WHERE status_id = {Status.ACTIVE} AND subscription_id > %(after)s::varchar
      AND starts_at <= %(at)s AND (ends_at IS NULL OR ends_at > %(at)s)
      AND (club_id IN (SELECT unnest(%(clubs)s::bigint[]))) IS TRUE
"""

# The database writes the JSON: in Python this took longer than all the rest.
CHUNK = f"""
SELECT '"' || string_agg(subscription_id, '","') || '"'
FROM (SELECT subscription_id {ELIGIBLE} ORDER BY subscription_id LIMIT %(limit)s) page
"""  # noqa: S608  # only constants are put in


def charging_clubs(at: datetime) -> list[int]:
    """Those whose subscriptions are charged: a closed club takes nobody in, but keeps who is in."""
    with connection.cursor() as cursor:
        cursor.execute(CLUBS, [at, ClubStatus.ACTIVE, ClubStatus.CLOSED])
        (clubs,) = cursor.fetchone()
    return list(clubs)


def eligible_json(at: datetime) -> Iterator[bytes]:
    """`["…","…"]` by id, in chunks, of one snapshot of the database however long it takes.

    Nothing of it is sent before the first chunk is there; cut short it is no JSON.
    """
    # Inside another's transaction, as in a test, the snapshot is that one's affair.
    begins = not connection.in_atomic_block
    with transaction.atomic() if begins else nullcontext(), connection.cursor() as cursor:
        if begins:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Whoever stops reading does not hold the snapshot for ever.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
        values: dict[str, Any] = {"at": at, "clubs": charging_clubs(at), "limit": FIRST_IDS}
        values["after"] = ""
        lead = b"["
        while True:
            cursor.execute(CHUNK, values)
            (ids,) = cursor.fetchone()
            if ids is None:
                break
            yield lead + ids.encode()
            lead, values["limit"] = b",", IDS_PER_CHUNK
            values["after"] = ids[ids.rindex('"', 0, -1) + 1 : -1]
        yield b"[]" if lead == b"[" else b"]"


ALWAYS_ELIGIBLE = f"""
SELECT bool_and(
    EXISTS (
        SELECT FROM clubs_period
        WHERE subscription_id = %(id)s AND status_id = {Status.ACTIVE}
          AND starts_at <= at AND (ends_at IS NULL OR ends_at > at)
    ) AND coalesce((
        SELECT club_status_id FROM club_status_history
        WHERE club_id = %(club)s AND effect_date <= at
        ORDER BY effect_date DESC, create_date DESC NULLS LAST, id DESC LIMIT 1
    ) IN ({ClubStatus.ACTIVE}, {ClubStatus.CLOSED}), false)
) FROM unnest(%(moments)s::timestamptz[]) at
"""  # noqa: S608


def is_eligible(subscription: Subscription, *moments: datetime) -> bool:
    """At all of these moments; one statement, because every charge asks."""
    values: dict[str, Any] = {
        "id": subscription.pk,
        "club": subscription.club_id,
        "moments": list(moments),
    }
    with connection.cursor() as cursor:
        cursor.execute(ALWAYS_ELIGIBLE, values)
        (found,) = cursor.fetchone()
    return bool(found)


CANDIDATES = f"""
    {ELIGIBLE} AND NOT EXISTS (
        SELECT FROM clubs_charge charge
        WHERE charge.subscription_id = period.subscription_id
          AND charge.period = %(month)s AND charge.state <> 'failed')
"""


# Nobody, where `since` is NULL.
DECLINED = """
    SELECT FROM clubs_charge declined
    WHERE declined.subscription_id = period.subscription_id AND declined.period = %(month)s
      AND declined.state = 'failed' AND declined.is_declined AND declined.settled_at >= %(since)s
"""


def count_uncharged(*, at: datetime, month: date) -> int:
    values: dict[str, Any] = {"at": at, "month": month, "after": "", "clubs": charging_clubs(at)}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {CANDIDATES}", values)
        (count,) = cursor.fetchone()
    return int(count)


def uncharged(
    *, at: datetime, month: date, after: str, limit: int, not_declined_since: datetime | None = None
) -> list[str]:
    """Ids of whoever is eligible then and has no charge that holds the month, by id."""
    values: dict[str, Any] = {"at": at, "month": month, "after": after, "clubs": charging_clubs(at)}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subscription_id {CANDIDATES} AND NOT EXISTS ({DECLINED}) "
            "ORDER BY subscription_id LIMIT %(limit)s",
            {**values, "limit": limit, "since": not_declined_since},
        )
        return [id for (id,) in cursor.fetchall()]


VERDICTS = {
    "chargeable": "Would be charged",
    "charged": "Charged for this month",
    "claimed": "Being charged",
    "unknown": "Charged with unknown outcome",
    "paused": "Paused",
    "cancelled": "Cancelled",
    "no-status": "No status yet",
    "club-inactive": "The club is inactive",
    "club-without-status": "The club has no status yet",
    "club-without-sku": "The club has no store SKU",
}

JUDGED = f"""
    FROM subscription
    JOIN club ON club.id = subscription.club_id
    LEFT JOIN clubs_period period ON period.subscription_id = subscription.id
         AND starts_at <= %(at)s AND (ends_at IS NULL OR ends_at > %(at)s)
    LEFT JOIN (
        SELECT DISTINCT ON (club_id) club_id, club_status_id FROM club_status_history
        WHERE effect_date <= %(at)s
        ORDER BY club_id, effect_date DESC, create_date DESC NULLS LAST, id DESC
    ) latest ON latest.club_id = club.id
    LEFT JOIN clubs_charge charge ON charge.subscription_id = subscription.id
         AND charge.period = %(month)s AND charge.state <> 'failed'
    CROSS JOIN LATERAL (SELECT CASE
        WHEN charge.state = 'succeeded' THEN 'charged'
        WHEN charge.state IS NOT NULL THEN charge.state
        WHEN period.status_id IS NULL THEN 'no-status'
        WHEN period.status_id = {Status.PAUSED} THEN 'paused'
        WHEN period.status_id = {Status.CANCELLED} THEN 'cancelled'
        WHEN latest.club_status_id IS NULL THEN 'club-without-status'
        WHEN latest.club_status_id = {ClubStatus.INACTIVE} THEN 'club-inactive'
        WHEN coalesce(club.store_sku, '') = '' THEN 'club-without-sku'
        ELSE 'chargeable' END AS verdict) judged
"""  # noqa: S608


def count_by_verdict(*, at: datetime, month: date) -> dict[str, int]:
    """How many subscriptions would be charged at this instant, and how many not, and why."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT verdict, count(*) {JUDGED} GROUP BY 1", {"at": at, "month": month})
        found = dict(cursor.fetchall())
    return {verdict: found.get(verdict, 0) for verdict in VERDICTS}


@dataclass(frozen=True)
class Judged:
    id: str
    customer_id: str
    club: str
    verdict: str

    @property
    def label(self) -> str:
        return VERDICTS[self.verdict]


def judged(
    *, at: datetime, month: date, verdict: str = "", after: str = "", limit: int = 50
) -> list[Judged]:
    """One by one, by id; of one verdict, or of all."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subscription.id, customer_store_id, club.name, verdict {JUDGED} "
            "WHERE subscription.id > %(after)s::varchar AND %(verdict)s::text IN ('', verdict) "
            "ORDER BY subscription.id LIMIT %(limit)s",
            {"at": at, "month": month, "verdict": verdict, "after": after, "limit": limit},
        )
        return [Judged(*row) for row in cursor.fetchall()]
