"""The tables: clubs, subscriptions and their histories, as approved, and the charges."""

from clubs.models.charges import Charge, ChargeEvent, ChargeRun
from clubs.models.clubs import Club, ClubStatus, ClubStatusChange
from clubs.models.histories import LONGEST_DETAILS, ChangeQuerySet
from clubs.models.subscriptions import (
    AUTOMATIC_RETURN,
    Period,
    RemovedChange,
    Status,
    StatusChange,
    Subscription,
)

__all__ = [
    "AUTOMATIC_RETURN",
    "LONGEST_DETAILS",
    "ChangeQuerySet",
    "Charge",
    "ChargeEvent",
    "ChargeRun",
    "Club",
    "ClubStatus",
    "ClubStatusChange",
    "Period",
    "RemovedChange",
    "Status",
    "StatusChange",
    "Subscription",
]
