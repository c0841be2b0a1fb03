"""Rules and achievements in plain words, for those who author, approve or ask why."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from incentives.models import Achievement, EventType, Rule
from incentives.structures import read_structure

LOCAL_DAY = {
    Rule.LocalDay.EVENT: "in the event's time zone, else the member's, else the employer's",
    Rule.LocalDay.MEMBER: "in the member's time zone, else the employer's",
    Rule.LocalDay.EMPLOYER: "in the employer's time zone",
}


def labels() -> dict[str, str]:
    return dict(EventType.objects.values_list("slug", "label"))


def day_in_words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def condition(rule: Rule, labels: Mapping[str, str]) -> str:
    return read_structure(rule.structure).sentence(labels)


def sentence(rule: Rule, labels: Mapping[str, str]) -> str:
    """The whole rule, read back to whoever wrote it."""
    incentive = rule.incentive
    programme = incentive.programme
    said = [
        f"When {condition(rule, labels)} {dates(programme.starts_on, programme.ends_on)}, "
        f"a member of {programme.employer.name} gets {reward(rule)} {how_often(rule)}.",
        f"A day is a calendar day {LOCAL_DAY[Rule.LocalDay(rule.local_day)]}.",
    ]
    if rule.max_awards is not None:
        said.append(f"There are at most {rule.max_awards:,} awards in all.")
    if rule.cost:
        said.append(f"Each costs {programme.employer.name} {money(rule.cost, programme.currency)}.")
    if incentive.is_sensitive:
        said.append("It is sensitive: nothing is released before the member consents.")
    return " ".join(said)


def dates(starts_on: date, ends_on: date | None) -> str:
    start = f"from {day_in_words(starts_on)}"
    return f"{start} to {day_in_words(ends_on)}" if ends_on else f"{start} on"


def reward(rule: Rule) -> str:
    said = f"“{rule.reward}”"
    if rule.coins:
        return f"{said} ({rule.coins:,} coins)"
    return f"{said} (partners are told {rule.reward_code})" if rule.reward_code else said


def how_often(rule: Rule) -> str:
    if rule.repeat == Rule.Repeat.ONCE:
        return "once"
    apart = f", {rule.cool_down_days:,} days apart or more" if rule.cool_down_days else ""
    return f"each time, up to {rule.max_per_member:,} times{apart}"


def money(amount: Decimal, currency: str) -> str:
    return f"{currency} {amount:,.2f}"


def why(achievement: Achievement) -> dict[str, Any]:
    """An achievement's explanation, for its member: no names of staff, no notes of partners."""
    return {
        "rule": condition(achievement.rule, {}),
        "rule_version": achievement.rule.number,
        "days": achievement.days,
        "history": [
            {
                "status": change.status,
                "at": change.at,
                "by": change.by.partition(":")[0],
                "note": "" if ":" in change.by else change.note,
            }
            for change in achievement.changes.all()
            if change.status != Achievement.Status.CAPPED
        ],
    }
