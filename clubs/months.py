"""The calendar month that a charge belongs to, in the one zone that bills."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings


def month_of(at: datetime) -> date:
    """Its first day. Stored with a charge, it stays what it was if the zone is ever changed."""
    return at.astimezone(ZoneInfo(settings.BILLING_TIME_ZONE)).date().replace(day=1)
