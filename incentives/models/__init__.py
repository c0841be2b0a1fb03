"""The tables: what may happen, who is eligible, what is promised, happened and was earned."""

from incentives.models.achievements import Achievement, AchievementChange
from incentives.models.catalogue import EventType
from incentives.models.events import SHARDS, Event, Waiting
from incentives.models.partners import FeedEntry, Handover, Partner, PartnerMember, Partnership
from incentives.models.people import Eligibility, Employer
from incentives.models.programmes import Incentive, Programme, Rule
from incentives.models.progress import Progress
from incentives.models.reports import EmployerReport
from incentives.models.webhooks import Delivery, DeliveryAttempt, EndpointSecret, WebhookEndpoint

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
