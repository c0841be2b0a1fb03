"""A subscription's life as lanes of spans, in shares of the time that is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

AHEAD = timedelta(days=45)
LONGEST = timedelta(days=3 * 365)
LABELS = 9
LAST_LABEL = 94  # per cent: further right its text would not fit


@dataclass(frozen=True)
class Span:
    """`left` and `width` in per cent of what is shown."""

    kind: str
    title: str
    left: float
    width: float
    is_planned: bool = False


@dataclass
class Lane:
    name: str
    spans: list[Span] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    starts_at: datetime
    ends_at: datetime

    def place(self, at: datetime) -> float:
        share = (at - self.starts_at) / (self.ends_at - self.starts_at)
        return round(100 * min(1.0, max(0.0, share)), 3)


def window_of(moments: Iterable[datetime], now: datetime) -> Window:
    """From the first decision, or three years back, to a while after the last planned one."""
    every = [*moments, now]
    start = max(min(every), now - LONGEST) - timedelta(days=5)
    return Window(start, min(max(every), now + LONGEST) + AHEAD)


def lane(name: str, changes: Mapping[datetime | None, str], window: Window, now: datetime) -> Lane:
    """The changes come in the order of their moments: each holds until the next."""
    found = Lane(name)
    begins = [(at, kind) for at, kind in changes.items() if at is not None]
    ends = [at for at, _ in begins[1:]] + [window.ends_at]
    for (begin, kind), end in zip(begins, ends, strict=True):
        title = f"{kind.capitalize()} from {begin:%Y-%m-%d %H:%M} UTC"
        if end != window.ends_at:
            title += f" to {end:%Y-%m-%d %H:%M}"
        # What goes on now is drawn in two: so far, and as planned.
        for start, stop in ((begin, min(end, now)), (max(begin, now), end)):
            left, right = window.place(start), window.place(stop)
            if start < stop and left < right:
                found.spans.append(Span(kind, title, left, round(right - left, 3), start >= now))
    return found


def months(window: Window) -> list[tuple[str, float]]:
    """Their first days, as many as can be read."""
    year, month = window.starts_at.year, window.starts_at.month
    found = []
    while True:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        first = window.starts_at.replace(
            year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0
        )
        if window.place(first) > LAST_LABEL:
            break
        found.append((f"{first:%b %Y}", window.place(first)))
    step = -(-len(found) // LABELS) or 1
    return found[::step]
