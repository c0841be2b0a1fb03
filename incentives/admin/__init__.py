"""The incentives' back office: authoring, members' progress, awards and their reasons."""

from incentives.admin.achievements import AchievementAdmin
from incentives.admin.catalogue import EmployerAdmin, EventTypeAdmin
from incentives.admin.people import EligibilityAdmin, EventAdmin, ProgressAdmin
from incentives.admin.programmes import IncentiveAdmin, ProgrammeAdmin
from incentives.admin.rules import RuleAdmin

__all__ = [
    "AchievementAdmin",
    "EligibilityAdmin",
    "EmployerAdmin",
    "EventAdmin",
    "EventTypeAdmin",
    "IncentiveAdmin",
    "ProgrammeAdmin",
    "ProgressAdmin",
    "RuleAdmin",
]
