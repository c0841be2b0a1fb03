"""The incentives' back office: authoring, members' progress, awards and their reasons, partners."""

from incentives.admin.achievements import AchievementAdmin
from incentives.admin.catalogue import EmployerAdmin, EventTypeAdmin
from incentives.admin.deliveries import DeliveryAdmin
from incentives.admin.feed import FeedEntryAdmin
from incentives.admin.partners import PartnerAdmin
from incentives.admin.people import EligibilityAdmin, EventAdmin, ProgressAdmin
from incentives.admin.programmes import IncentiveAdmin, ProgrammeAdmin
from incentives.admin.reports import EmployerReportAdmin
from incentives.admin.rules import RuleAdmin
from incentives.admin.webhooks import WebhookEndpointAdmin

__all__ = [
    "AchievementAdmin",
    "DeliveryAdmin",
    "EligibilityAdmin",
    "EmployerAdmin",
    "EmployerReportAdmin",
    "EventAdmin",
    "EventTypeAdmin",
    "FeedEntryAdmin",
    "IncentiveAdmin",
    "PartnerAdmin",
    "ProgrammeAdmin",
    "ProgressAdmin",
    "RuleAdmin",
    "WebhookEndpointAdmin",
]
