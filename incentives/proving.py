"""Proof that standings and achievements are what the log says, for everybody or a sample."""

from collections.abc import Iterator, Sequence

from django.db import connection

from incentives import log
from incentives.counting import Standing, recount
from incentives.models import Achievement
from incentives.settling import Earned, held_by
from incentives.world import World

USERS_AT_ONCE = 200
REJECTED = Achievement.Status.REJECTED

USERS = """
SELECT user_id FROM (
    SELECT user_id FROM incentives_eligibility WHERE user_id > %(after)s
    UNION SELECT user_id FROM incentives_progress WHERE user_id > %(after)s
    UNION SELECT user_id FROM incentives_achievement WHERE user_id > %(after)s
) everybody
ORDER BY user_id LIMIT %(limit)s
"""

WAITING = "SELECT user_id FROM incentives_waiting WHERE user_id = ANY (%s)"


def everybody() -> Iterator[list[str]]:
    """All who have anything to do with incentives, some at a time."""
    after = ""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(USERS, {"after": after, "limit": USERS_AT_ONCE})
            users = [user_id for (user_id,) in cursor]
        if not users:
            return
        yield users
        after = users[-1]


def discrepancies(users: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Who stands otherwise than the log says, and how; whoever waits for a worker is left out."""
    # Looked at twice: a worker may have been between what the first look saw.
    if suspects := sorted({user_id for user_id, _ in differences(users)}):
        yield from differences(suspects)


def differences(users: Sequence[str]) -> Iterator[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [list(users)])
        waiting = {user_id for (user_id,) in cursor}
    settled = [user_id for user_id in users if user_id not in waiting]
    world = World.of(settled)
    places = {
        (user_id, offer.incentive): offer
        for user_id in settled
        for offer in world.offers_for(user_id)
    }
    types = frozenset[str]().union(*(offer.types for offer in places.values()))
    happenings = log.happenings(settled, types)
    held = held_by(places, is_locked=False)
    for (user_id, incentive), offer in places.items():
        place = f"user {user_id}, {offer.programme_slug}/{offer.slug}"
        due = recount(offer, happenings[user_id], world.periods(user_id, offer.employer))
        if said(due) != said(world.standings.get((user_id, incentive))):
            yield user_id, f"{place}: the progress is not what the log says"
        earned = Earned.whole(user_id, offer, due, held[user_id, incentive])
        standing = {each.ordinal for each in earned.held if each.is_standing}
        # What a partner rejected stays so, whatever the log says.
        rejected = {each.ordinal for each in earned.held if each.status == REJECTED}
        if standing - rejected != earned.awards.keys() - rejected:
            yield user_id, f"{place}: the achievements are not what the log says"


def said(standing: Standing | None) -> object:
    return standing and (
        standing.version.id,
        standing.state,
        standing.reached,
        standing.first_at,
        standing.latest_at,
        standing.last_counted_on,
    )
