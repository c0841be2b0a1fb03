"""What follows from events: workers take whoever waits, shard by shard, each exactly once."""

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection, transaction

from incentives import log, standings
from incentives.counting import Happening, Odd, Offer, Standing, advance, recount
from incentives.models import SHARDS
from incentives.settling import Earned, Place, held_by, settle
from incentives.world import World

AT_ONCE = 1000
# Any number, as long as nobody else locks with it.
LOCKS = 0x1CE27

BUSY = f"""
SELECT shard FROM generate_series(0, {SHARDS - 1}) AS shard
WHERE EXISTS (SELECT FROM incentives_waiting waiting WHERE waiting.shard = shard.shard)
"""  # noqa: S608  # the only thing put in is a constant

# A worker keeps its plans, also those that it made when hardly anything had happened yet: what is
# looked up then is looked up in an index.
LOCK = """
SELECT pg_try_advisory_xact_lock(%s, %s), set_config('enable_seqscan', 'off', true)
"""

TAKE = """
WITH taken AS (
    DELETE FROM incentives_waiting WHERE id = ANY (ARRAY(
        SELECT id FROM incentives_waiting WHERE shard = %s ORDER BY id LIMIT %s
    ))
    RETURNING user_id, event_id
)
SELECT taken.user_id, event.occurred_at, event.id, event.type, event.timezone, event.data,
       event.retracted_at IS NOT NULL
FROM taken LEFT JOIN LATERAL (
    SELECT * FROM incentives_event WHERE id = taken.event_id OFFSET 0
) event ON true
"""


@dataclass(slots=True)
class News:
    """Why a user waits: these new events, or something that only the whole log answers."""

    happenings: list[Happening] = field(default_factory=list)
    is_everything: bool = False


def busy_shards() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(BUSY)
        return [shard for (shard,) in cursor]


def evaluate_all(*, now: datetime, deadline: float) -> int:
    """One batch of every shard that somebody waits in; how many were looked at.

    In no fixed order, so that workers seldom try the same shard. Stops at the deadline, in the
    time of `time.monotonic`.
    """
    done = 0
    shards = busy_shards()
    random.shuffle(shards)
    for shard in shards:
        if time.monotonic() > deadline:
            break
        done += evaluate(shard=shard, now=now)
    return done


@transaction.atomic
def evaluate(*, shard: int, now: datetime, at_once: int = AT_ONCE) -> int:
    """Take up to `at_once` of those who wait in this shard, and tell how many; 0 if it is taken.

    Whoever waits is forgotten in the transaction that does what was waited for: nothing is done
    twice, and nothing is lost with a worker that dies.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [LOCKS, shard])
        if not cursor.fetchone()[0]:
            return 0
        # A statement of its own: it must see what the lock's last holder committed.
        cursor.execute(TAKE, [shard, at_once])
        rows = cursor.fetchall()
    news: dict[str, News] = defaultdict(News)
    for user_id, at, event, kind, zone, data, is_retracted in rows:
        if event is None or is_retracted:
            news[user_id].is_everything = True
        else:
            happening = Happening(at, kind, zone, event, log.read_data(data))
            news[user_id].happenings.append(happening)
    follow(news, now=now)
    return len(rows)


def follow(news: Mapping[str, News], *, now: datetime) -> None:
    """Bring the standings and the achievements of these users up to their log."""
    world = World.of(news)
    changed: set[Place] = set()
    risen: dict[Place, Offer] = {}
    odd: dict[Place, Offer] = {}
    for user_id, each in news.items():
        if each.is_everything:
            odd |= {(user_id, offer.incentive): offer for offer in world.offers_for(user_id)}
            continue
        for offer, happenings in world.heard(user_id, each.happenings):
            place = user_id, offer.incentive
            periods = world.periods(user_id, offer.employer)
            try:
                standing = advance(world.standings.get(place), offer, happenings, periods)
            except Odd:
                odd[place] = offer
                continue
            if standing and standing.is_changed:
                world.standings[place] = standing
                changed.add(place)
                if standing.occurrences:
                    risen[place] = offer
    held = held_by({**risen, **odd})
    # After something was taken back, only the whole log tells which occurrence is which.
    unclear = {place for place in risen if any(not each.is_standing for each in held[place])}
    odd |= {place: risen.pop(place) for place in unclear}
    changed -= odd.keys()
    earned = [
        Earned.further(
            user_id, offer, world.standings[user_id, incentive], held[user_id, incentive]
        )
        for (user_id, incentive), offer in risen.items()
    ]
    gone: set[Place] = set()
    for place, offer, standing in counted_anew(odd, world):
        earned.append(Earned.whole(place[0], offer, standing, held[place]))
        if standing:
            world.standings[place] = standing
            changed.add(place)
        elif place in world.standings:
            gone.add(place)
    standings.save({place: world.standings[place] for place in changed})
    standings.drop(gone)
    settle(earned, now=now)


def counted_anew(
    odd: Mapping[Place, Offer], world: World
) -> Iterator[tuple[Place, Offer, Standing | None]]:
    types = frozenset[str]().union(*(offer.types for offer in odd.values()))
    users = {user_id for user_id, _ in odd}
    happenings = log.happenings(users, types, are_waiting_left_out=True)
    for (user_id, incentive), offer in odd.items():
        periods = world.periods(user_id, offer.employer)
        yield (user_id, incentive), offer, recount(offer, happenings[user_id], periods)
