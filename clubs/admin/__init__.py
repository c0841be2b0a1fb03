"""The back office: clubs and subscriptions to decide about, charges to look at and to settle."""

from clubs.admin.charges import ChargeAdmin, ChargeRunAdmin
from clubs.admin.clubs import ClubAdmin
from clubs.admin.subscriptions import SubscriptionAdmin

__all__ = ["ChargeAdmin", "ChargeRunAdmin", "ClubAdmin", "SubscriptionAdmin"]
