"""The back office: venues and how they do, uses to see and to reverse, and their reversals."""

from benefits.admin.usages import ReversalAdmin, UsageAdmin
from benefits.admin.venues import BenefitAdmin, PersonAdmin, VenueAdmin

__all__ = ["BenefitAdmin", "PersonAdmin", "ReversalAdmin", "UsageAdmin", "VenueAdmin"]
