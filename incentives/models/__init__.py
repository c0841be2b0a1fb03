"""The tables: what may happen, who is eligible, what is promised, happened and was earned."""

from incentives.models.achievements import Achievement, AchievementChange
from incentives.models.catalogue import EventType
from incentives.models.events import SHARDS, Event, Waiting
from incentives.models.partners import (
    Delivery,
    DeliveryAttempt,
    EndpointSecret,
    FeedEntry,
    Handover,
    Partner,
    PartnerMember,
    Partnership,
    WebhookEndpoint,
)
from incentives.models.people import Eligibility, Employer
from incentives.models.programmes import Incentive, Programme, Rule
from incentives.models.progress import Progress
from incentives.models.reports import EmployerReport

__all__ = [
    "SHARDS",
    "Achievement",
    "AchievementChange",
    "Delivery",
    "DeliveryAttempt",
    "Eligibility",
    "Employer",
    "EmployerReport",
    "EndpointSecret",
    "Event",
    "EventType",
    "FeedEntry",
    "Handover",
    "Incentive",
    "Partner",
    "PartnerMember",
    "Partnership",
    "Programme",
    "Progress",
    "Rule",
    "Waiting",
    "WebhookEndpoint",
]
