"""What a partner may know of an achievement: one list of fields for every way out of the house."""

from collections.abc import Iterable, Iterator
from typing import Any

from common import spreadsheet
from incentives.models import FeedEntry

FIELDS = (
    "id",
    "sequence",
    "member",
    "reward_code",
    "programme",
    "effective_date",
    "status",
    "version",
)


def line(entry: FeedEntry) -> dict[str, Any]:
    """By hand and from the feed alone, which holds nothing else: no field is ever added by
    accident."""
    return {
        "id": str(entry.achievement_id),
        "sequence": entry.sequence,
        "member": str(entry.member.pseudonym),
        "reward_code": entry.reward_code,
        "programme": entry.partnership.reference,
        "effective_date": entry.effective_on.isoformat(),
        "status": entry.status,
        "version": entry.version,
    }


def csv_lines(entries: Iterable[FeedEntry]) -> Iterator[str]:
    """The header first. Every value stands as it is: the database lets none look like a formula."""
    return spreadsheet.csv_lines([*FIELDS], (line(entry).values() for entry in entries))
