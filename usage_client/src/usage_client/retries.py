"""When to try again, how long to wait before, and when to stop."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# A 4xx that is about the moment and not about the request.
WORTH_ANOTHER_TRY = {408, 425, 429}


def pause_after(attempt: int, rng: random.Random) -> float:
    """Full jitter: anything from nothing to twice as long at each attempt, so that a thousand
    clients that failed together do not come back together."""
    return rng.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16)))


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, in either form of the header; None when it says nothing usable."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - (now or datetime.now(timezone.utc))).total_seconds())


class Budget:
    """What all calls of a client may spend on trying again, so that an outage fails fast.

    An attempt more costs one; a call that succeeds gives back what it took and a tenth of all; a
    call that gives up takes a quarter. So an outage shorter than the deadline costs nothing, and
    in a longer one calls soon fail at their first attempt, until one succeeds.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        # Not guarded: a brake may be off by one, and a lock could be left locked by a fork.
        self.left = float(size)

    def take(self) -> bool:
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def succeeded(self, taken: int) -> None:
        self.left = min(self.size, self.left + taken + self.size / 10)

    def gave_up(self) -> None:
        self.left = max(0.0, self.left - self.size / 4)
