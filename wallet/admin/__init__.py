"""The back office: accounts and entries to look at, adjustments to ask for and to decide."""

from wallet.admin.adjustments import AdjustmentAdmin
from wallet.admin.ledger import AccountAdmin, EntryAdmin, EntryInline

__all__ = ["AccountAdmin", "AdjustmentAdmin", "EntryAdmin", "EntryInline"]
