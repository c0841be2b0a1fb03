"""Which rules apply to whom: the published incentives of employers, and members' periods."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from incentives.counting import Offer, Period, Version
from incentives.models import Eligibility, Rule
from incentives.structures import Block, read_structure

# By user and employer, in the order of time.
Members = Mapping[str, Mapping[int, list[Period]]]


def offers_of(employers: Iterable[int]) -> list[Offer]:
    """What these employers offer, in a stable order."""
    rules = (
        Rule.objects.filter(
            published_at__isnull=False,
            incentive__programme__published_at__isnull=False,
            incentive__programme__employer__in=list(employers),
        )
        .order_by("incentive__programme__slug", "incentive__slug", "number")
        .values_list(
            "incentive",
            "incentive__slug",
            "incentive__programme__slug",
            "incentive__programme__employer",
            "incentive__programme__employer__timezone",
            "incentive__programme__starts_on",
            "incentive__programme__ends_on",
            "pk",
            "number",
            Cast("structure", TextField()),
            "local_day",
            "max_per_member",
            "cool_down_days",
            "published_at",
        )
    )
    versions = defaultdict[tuple[Any, ...], list[Version]](list)
    for row in rules:
        rule, number, structure, *terms = row[7:]
        versions[row[:7]].append(Version(rule, number, parsed(structure), *terms))
    return [Offer(*offer, tuple(found)) for offer, found in versions.items()]  # type: ignore[call-arg]


@lru_cache(maxsize=4096)
def parsed(structure: str) -> Block:
    return read_structure(json.loads(structure))


def members(users: Iterable[str]) -> Members:
    """Users whom no file ever named are missing."""
    found: dict[str, dict[int, list[Period]]] = {}
    rows = (
        Eligibility.objects.filter(user_id__in=list(users))
        .order_by("starts_on")
        .values_list("user_id", "employer", "starts_on", "ends_on", "timezone")
    )
    for user_id, employer, starts_on, ends_on, zone in rows:
        period = Period(starts_on, ends_on, zone)
        found.setdefault(user_id, {}).setdefault(employer, []).append(period)
    return found
