"""So many different days."""

from collections.abc import Mapping
from typing import Literal

from incentives.days import each_day
from incentives.structures.block import Days, State
from incentives.structures.runs import RunsBlock


class DistinctDays(RunsBlock):
    structure: Literal["distinct_days"]
    days: Days

    @property
    def target(self) -> int:
        return self.days

    @property
    def unit(self) -> str:
        return "days"

    def reached(self, state: State) -> int:
        return self.total(state) // self.days

    def current(self, state: State) -> int:
        return self.total(state)

    def basis(self, state: State) -> set[int]:
        end = self.reached(state) * self.days
        return set(list(each_day(state["runs"]))[end - self.days : end])

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens on {self.days:,} different days"
