"""The back office: customers, their bills with what they spend, records, closings."""

from usage.admin.bills import BillAdmin
from usage.admin.closings import ClosingAdmin
from usage.admin.customers import CustomerAdmin
from usage.admin.records import RecordAdmin

__all__ = ["BillAdmin", "ClosingAdmin", "CustomerAdmin", "RecordAdmin"]
