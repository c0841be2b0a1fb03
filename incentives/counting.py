"""What a member's events amount to under a rule: one event at a time, or all of them anew.

Both ways end in the same standing; without Django, so that it can be tested against an oracle.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from incentives.days import local_day
from incentives.structures import Block, Fact, State, TooLate


class Happening(NamedTuple):
    """An event of the log. They sort by time, and at one instant by what they are, not by which
    came first.
    """

    at: datetime
    type: str
    zone: str
    id: int
    data: Mapping[str, Any]


class Period(NamedTuple):
    """A member's time with an employer, both days included; `zone` as the file says it, or ''."""

    starts_on: date
    ends_on: date | None
    zone: str


class Occurrence(NamedTuple):
    """Achieved at this instant, on this local day, by what happened on these days."""

    at: datetime
    on: date
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A published rule, as far as it decides what counts."""

    id: int
    number: int
    structure: Block
    local_day: str
    max_per_member: int
    cool_down_days: int
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """An incentive: its versions, oldest first, and when its programme runs for whom."""

    incentive: int
    slug: str
    programme_slug: str
    employer: int
    employer_zone: str
    starts_on: date
    ends_on: date | None
    versions: tuple[Version, ...]

    @property
    def types(self) -> frozenset[str]:
        return frozenset[str]().union(*(each.structure.types for each in self.versions))


@dataclass(slots=True)
class Standing:
    """How far a member is under one version.

    `occurrences` are those that the events just counted led to; `is_changed` says whether any did
    count.
    """

    version: Version
    state: State
    reached: int
    first_at: datetime
    latest_at: datetime
    last_counted_on: date
    occurrences: list[Occurrence] = field(default_factory=list)
    is_changed: bool = False


FIRST_PLACE = {"event": 0, "member": 1, "employer": 2}


def fact_of(
    happening: Happening, offer: Offer, version: Version, periods: Sequence[Period]
) -> Fact | None:
    """The event as the rule sees it; None when it is out of the programme or the eligibility."""
    if happening.type not in version.structure.types:
        return None
    for period in periods:
        places = (happening.zone, period.zone, offer.employer_zone)
        day = local_day(happening.at, *places[FIRST_PLACE[version.local_day] :])
        if (
            period.starts_on <= day
            and (period.ends_on is None or day <= period.ends_on)
            and offer.starts_on <= day
            and (offer.ends_on is None or day <= offer.ends_on)
        ):
            return Fact(happening.type, day, happening.at, happening.data)
    return None


def recount(
    offer: Offer, happenings: Sequence[Happening], periods: Sequence[Period]
) -> Standing | None:
    """The oracle: everything from the log, in the order of time; None when nothing counts."""
    ordered = sorted(happenings)
    for version, following in zip(offer.versions, [*offer.versions[1:], None], strict=True):
        standing = fold(None, offer, version, ordered, periods)
        # Whoever began before the next version was published finishes on this one.
        if following is None or (standing and standing.first_at < following.published_at):
            return standing
    return None


def advance(
    standing: Standing | None,
    offer: Offer,
    happenings: Iterable[Happening],
    periods: Sequence[Period],
) -> Standing | None:
    """The standing after these new events. Raises Odd where only the log can tell.

    The given standing is changed and not to be used again.
    """
    newest = offer.versions[-1]
    ordered = sorted(happenings)
    if len(offer.versions) > 1 and ordered and ordered[0].at < newest.published_at:
        raise Odd
    version = standing.version if standing else newest
    return fold(standing, offer, version, ordered, periods, is_all=False)


class Odd(Exception):
    """What an event changes, only the log can tell: it is from before what was achieved already,
    or achieves something of which the standing keeps no days any more.
    """


def fold(
    standing: Standing | None,
    offer: Offer,
    version: Version,
    ordered: Iterable[Happening],
    periods: Sequence[Period],
    *,
    is_all: bool = True,
) -> Standing | None:
    structure = version.structure
    for happening in ordered:
        fact = fact_of(happening, offer, version, periods)
        if fact is None:
            continue
        state = standing.state if standing else structure.empty()
        try:
            if not structure.add(state, fact):
                continue
        except TooLate:
            raise Odd from None
        reached = structure.reached(state)
        if standing is None:
            standing = Standing(version, state, 0, fact.at, fact.at, fact.day)
        elif reached and not is_all and fact.at <= standing.latest_at:
            raise Odd
        if reached > standing.reached and (is_all or may_be_awarded(standing)):
            if structure.is_trimmed(state):
                raise Odd
            days = tuple(date.fromordinal(each) for each in sorted(structure.basis(state)))
            standing.occurrences += [Occurrence(fact.at, fact.day, days)] * min(
                reached - standing.reached, version.max_per_member
            )
        standing.reached, standing.is_changed = reached, True
        standing.first_at = min(standing.first_at, fact.at)
        standing.latest_at = max(standing.latest_at, fact.at)
        standing.last_counted_on = max(standing.last_counted_on, fact.day)
    if standing:
        structure.trim(standing.state)
    return standing


def may_be_awarded(standing: Standing) -> bool:
    """Whether a further occurrence could be one award more."""
    version = standing.version
    return version.cool_down_days > 0 or standing.reached < version.max_per_member


def awarded(
    occurrences: Iterable[Occurrence], version: Version, before: Sequence[date] = ()
) -> list[Occurrence]:
    """Those that are awards: after the cool-down, up to the member's maximum.

    `before` are the days of the awards already made.
    """
    awards: list[Occurrence] = []
    latest = max(before, default=date.min)
    for occurrence in occurrences:
        if len(before) + len(awards) >= version.max_per_member:
            break
        since = (occurrence.on - latest).days
        if version.cool_down_days and latest > date.min and since < version.cool_down_days:
            continue
        awards.append(occurrence)
        latest = max(latest, occurrence.on)
    return awards
