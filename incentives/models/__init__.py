"""The tables: what may happen, who is eligible, what is promised, happened and was earned."""

from incentives.models.achievements import Achievement, AchievementChange
from incentives.models.catalogue import EventType
from incentives.models.events import SHARDS, Event, Waiting
from incentives.models.people import Eligibility, Employer
from incentives.models.programmes import Incentive, Programme, Rule
from incentives.models.progress import Progress

__all__ = [
    "SHARDS",
    "Achievement",
    "AchievementChange",
    "Eligibility",
    "Employer",
    "Event",
    "EventType",
    "Incentive",
    "Programme",
    "Progress",
    "Rule",
    "Waiting",
]
