"""What was earned against what is held: award, put right, take back; within budget and caps."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incentives.achievements import RULES, Status, first_steps, record, step, write
from incentives.counting import Occurrence, Offer, Standing, Version, awarded
from incentives.models import Achievement, AchievementChange, Rule
from incentives.models.achievements import OPEN
from incentives.purse import Purse

Place = tuple[str, int]  # user and incentive

# What the log alone cannot take back: a person decides on the first, nobody knows of the second.
UNDECIDED = (Status.FULFILLED, Status.CAPPED)


@dataclass(slots=True)
class Earned:
    """The awards that one user's log says of one incentive, and the achievements held for it.

    The n-th award is the achievement with ordinal n.
    """

    user_id: str
    incentive: int
    version: Version | None
    awards: dict[int, Occurrence]
    held: list[Achievement]
    is_whole: bool

    @classmethod
    def further(
        cls, user_id: str, offer: Offer, standing: Standing, held: list[Achievement]
    ) -> "Earned":
        """Only what is new: it comes after all that is held."""
        before = [each.effective_on for each in held]
        awards = awarded(standing.occurrences, standing.version, before)
        numbered = dict(enumerate(awards, len(held) + 1))
        return cls(user_id, offer.incentive, standing.version, numbered, held, False)

    @classmethod
    def whole(
        cls, user_id: str, offer: Offer, standing: Standing | None, held: list[Achievement]
    ) -> "Earned":
        """All that there is; what is held beyond it was not earned."""
        if standing is None:
            return cls(user_id, offer.incentive, None, {}, held, True)
        awards = awarded(standing.occurrences, standing.version)
        numbered = dict(enumerate(awards, 1))
        return cls(user_id, offer.incentive, standing.version, numbered, held, True)


def settle(earned: Iterable[Earned], *, now: datetime) -> None:
    """Make the achievements what the log says, as far as budgets, caps and persons allow."""
    relevant = [each for each in earned if each.awards or each.held]
    if not relevant:
        return
    rules = Rule.objects.select_related("incentive").in_bulk(
        {each.version.id for each in relevant if each.version}
    )
    settlement = Settlement(now)
    for each in relevant:
        settlement.compare(each, rules)
    settlement.finish()


class Settlement:
    """Everything that one call of `settle` changes, written at its end."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.fresh: list[Achievement] = []
        self.again: list[Achievement] = []
        self.changed: dict[Any, Achievement] = {}
        self.changes: list[AchievementChange] = []
        self.given_back: list[Achievement] = []

    def compare(self, earned: Earned, rules: Mapping[int, Rule]) -> None:
        rule = rules[earned.version.id] if earned.version else None
        held = {each.ordinal: each for each in earned.held}
        for ordinal, occurrence in earned.awards.items():
            assert rule is not None
            if ordinal in held:
                self.confirm(held[ordinal], rule, occurrence)
            else:
                self.fresh.append(new(earned.user_id, ordinal, rule, occurrence, self.now))
        if earned.is_whole:
            for ordinal in held.keys() - earned.awards.keys():
                self.take_back(held[ordinal])

    def confirm(self, achievement: Achievement, rule: Rule, occurrence: Occurrence) -> None:
        """It is held and earned; perhaps on other days, or again."""
        if achievement.status in (Status.FULFILLED, Status.REJECTED):
            if not achievement.is_standing:
                achievement.needs_review = achievement.is_kept = False
                self.note(achievement, "The log says again that it was earned.")
            return
        is_other = describe(achievement, rule, occurrence)
        if achievement.status == Status.REVERSED:
            self.again.append(achievement)
        elif is_other or achievement.needs_review:
            achievement.needs_review = False
            self.note(achievement, "Put right: earlier events came to light.")

    def take_back(self, achievement: Achievement) -> None:
        """It is held and not earned any more."""
        if achievement.status in OPEN:
            self.step(achievement, Status.REVERSED, "The log no longer says so.")
            self.given_back.append(achievement)
        elif achievement.status in UNDECIDED and achievement.is_standing:
            achievement.needs_review = True
            self.note(achievement, "The log no longer says so.")

    def finish(self) -> None:
        if self.fresh or self.again or self.given_back:
            self.weigh()
        write(self.fresh, are_new=True)
        write(self.changed.values())
        record(self.changes)

    def weigh(self) -> None:
        """What comes back makes room first; then the earliest takes first."""
        purse = Purse({each.incentive_id for each in [*self.fresh, *self.again, *self.given_back]})
        for each in self.given_back:
            purse.give_back(each)
        for each in sorted([*self.again, *self.fresh], key=lambda each: each.achieved_at):
            has_enough = purse.take(each, each.rule.max_awards)
            for status in first_steps(each) if has_enough else [Status.CAPPED]:
                self.step(each, status)
        purse.close()

    def step(self, achievement: Achievement, status: str, note: str = "") -> None:
        change = step(achievement, status, by=RULES, now=self.now, note=note)
        self.changes.append(change)
        if not achievement._state.adding:
            self.changed[achievement.pk] = achievement

    def note(self, achievement: Achievement, note: str) -> None:
        self.step(achievement, achievement.status, note)


def new(
    user_id: str, ordinal: int, rule: Rule, occurrence: Occurrence, now: datetime
) -> Achievement:
    achievement = Achievement(
        incentive=rule.incentive, user_id=user_id, ordinal=ordinal, version=0, granted_at=now
    )
    describe(achievement, rule, occurrence)
    return achievement


def describe(achievement: Achievement, rule: Rule, occurrence: Occurrence) -> bool:
    """Say what was earned and why; whether that is news."""
    said = {
        "rule_id": rule.pk,
        "achieved_at": occurrence.at,
        "effective_on": occurrence.on,
        "days": [day.isoformat() for day in occurrence.days],
        "reward": rule.reward,
        "reward_code": rule.reward_code,
        "coins": rule.coins,
        "cost": rule.cost,
    }
    is_news = any(getattr(achievement, name, None) != value for name, value in said.items())
    for name, value in said.items():
        setattr(achievement, name, value)
    achievement.rule = rule
    return is_news


def held_by(places: Collection[Place], *, is_locked: bool = True) -> dict[Place, list[Achievement]]:
    """Achievements by user and incentive in the order of ordinals, locked for a change."""
    held: dict[Place, list[Achievement]] = {place: [] for place in places}
    if places:
        found = (
            Achievement.objects.filter(
                user_id__in={user_id for user_id, _ in places},
                incentive__in={incentive for _, incentive in places},
            )
            .select_related("incentive")
            .order_by("user_id", "incentive", "ordinal")
        )
        if is_locked:
            found = found.select_for_update(of=("self",), no_key=True)
        for each in found:
            if (each.user_id, each.incentive_id) in held:
                held[each.user_id, each.incentive_id].append(each)
    return held
