"""So many times within so many days."""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from incentives.structures import block
from incentives.structures.block import Days, EventBlock, Fact, State, Times, TooLate


class TimesInWindow(EventBlock):
    """No event serves two achievements: after one, counting starts anew."""

    structure: Literal["times_in_window"]
    times: Times
    window: Days = Field(description="Local days, the first and the last included.")

    @property
    def target(self) -> int:
        return self.times

    @property
    def unit(self) -> str:
        return "times"

    def empty(self) -> State:
        """`days`: how many on which day; `past` and `open`: what the walk up to `until` left."""
        return {"past": 0, "until": 0, "open": [], "days": []}

    def add(self, state: State, fact: Fact) -> bool:
        if not self.takes(fact):
            return False
        day, days = fact.day.toordinal(), state["days"]
        if day <= state["until"]:
            raise TooLate
        place = bisect_left(days, day, key=lambda each: each[0])
        if place < len(days) and days[place][0] == day:
            days[place][1] += 1
        else:
            days.insert(place, [day, 1])
        return True

    def trim(self, state: State) -> None:
        days = state["days"]
        old = (
            bisect_left(days, days[-1][0] - block.KEPT_DAYS, key=lambda each: each[0])
            if days
            else 0
        )
        if old:
            recent = days[old:]
            del days[old:]
            until = days[-1][0]
            past, still_open, _ = self.walk(state)
            state |= {"past": past, "until": until, "open": list(still_open), "days": recent}

    def is_trimmed(self, state: State) -> bool:
        return bool(state["until"])

    def reached(self, state: State) -> int:
        return self.walk(state)[0]

    def current(self, state: State) -> int:
        return sum(times for _, times in self.walk(state)[1])

    def basis(self, state: State) -> set[int]:
        return self.walk(state)[2]

    def walk(self, state: State) -> tuple[int, deque[list[int]], set[int]]:
        """Achievements, what still counts towards the next, and the days of the latest.

        Taking each as early as it is complete makes the most of them that do not share an event.
        """
        reached, still_open = state["past"], deque[list[int]](state["open"])
        held, latest = sum(times for _, times in still_open), set[int]()
        for day, times in state["days"]:
            while still_open and still_open[0][0] <= day - self.window:
                held -= still_open.popleft()[1]
            while held + times >= self.times:
                reached += 1
                latest = {each for each, _ in still_open} | {day}
                times -= self.times - held
                still_open.clear()
                held = 0
            if times:
                still_open.append([day, times])
                held += times
        return reached, still_open, latest

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens {self.times:,} times within {self.window:,} days"
