"""What a rule would have awarded, had it run: on past events, with nothing written."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import connection

from incentives import log
from incentives.counting import Occurrence, Offer, Version, awarded, recount
from incentives.models import Rule
from incentives.offers import members
from incentives.structures import read_structure

MEMBERS_AT_ONCE = 500
MOST_EXAMPLES = 10

MEMBERS = """
SELECT DISTINCT user_id FROM incentives_eligibility
WHERE employer_id = %s AND user_id > %s ORDER BY user_id LIMIT %s
"""


@dataclass
class Forecast:
    """Awards and their cost; `capped` are those for which no budget or cap would be left."""

    members: int = 0
    members_with_events: int = 0
    members_awarded: int = 0
    awards: int = 0
    capped: int = 0
    cost: Decimal = Decimal(0)
    by_month: Counter[date] = field(default_factory=Counter)
    examples: list[tuple[str, Occurrence]] = field(default_factory=list)


def forecast(rule: Rule) -> Forecast:
    """As if this version had run since its programme's start, alone and with its budget whole."""
    offer = offer_of(rule)
    told = Forecast()
    found: list[tuple[datetime, str, Occurrence]] = []
    for users in some_at_a_time(offer.employer):
        periods = members(users)
        happenings = log.happenings(users, offer.types)
        told.members += len(users)
        for user_id in users:
            if not happenings[user_id]:
                continue
            told.members_with_events += 1
            standing = recount(offer, happenings[user_id], periods[user_id][offer.employer])
            if standing:
                due = awarded(standing.occurrences, standing.version)
                told.members_awarded += bool(due)
                found += [(each.at, user_id, each) for each in due]
    most = most_awards(rule)
    found.sort()
    granted = found if most is None else found[:most]
    told.awards, told.capped = len(granted), len(found) - len(granted)
    told.cost = rule.cost * len(granted)
    told.by_month = Counter(each.on.replace(day=1) for _, _, each in granted)
    told.examples = [(user_id, each) for _, user_id, each in granted[:MOST_EXAMPLES]]
    return told


def most_awards(rule: Rule) -> int | None:
    """What budget and cap allow, as if nothing had been spent."""
    budget = rule.incentive.programme.budget
    limits = [] if rule.max_awards is None else [rule.max_awards]
    if budget is not None and rule.cost:
        limits.append(int(budget // rule.cost))
    return min(limits, default=None)


def offer_of(rule: Rule) -> Offer:
    programme = rule.incentive.programme
    version = Version(
        rule.pk,
        rule.number,
        read_structure(rule.structure),
        rule.local_day,
        rule.max_per_member,
        rule.cool_down_days,
        datetime.min.replace(tzinfo=UTC),
    )
    return Offer(
        rule.incentive_id,
        rule.incentive.slug,
        programme.slug,
        programme.employer_id,
        programme.employer.timezone,
        programme.starts_on,
        programme.ends_on,
        (version,),
    )


def some_at_a_time(employer: int) -> Iterator[list[str]]:
    after = ""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(MEMBERS, [employer, after, MEMBERS_AT_ONCE])
            users = [user_id for (user_id,) in cursor]
        if not users:
            return
        yield users
        after = users[-1]
