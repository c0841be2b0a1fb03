"""So many days in a row."""

from collections.abc import Mapping
from typing import Literal

from incentives.days import length
from incentives.structures.block import Days, State
from incentives.structures.runs import RunsBlock


class ConsecutiveDays(RunsBlock):
    """A longer run is achieved once for each full length, without overlap."""

    structure: Literal["consecutive_days"]
    days: Days

    @property
    def target(self) -> int:
        return self.days

    @property
    def unit(self) -> str:
        return "days"

    def worth(self, days: int) -> int:
        return days // self.days

    def reached(self, state: State) -> int:
        return self.total(state)

    def current(self, state: State) -> int:
        return state["runs"][-1][1] - state["runs"][-1][0] + 1 if state["runs"] else 0

    def basis(self, state: State) -> set[int]:
        first, last = next(run for run in reversed(state["runs"]) if self.worth(length(run)))
        end = first + self.worth(last - first + 1) * self.days
        return set(range(end - self.days, end))

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens on {self.days:,} days in a row"
