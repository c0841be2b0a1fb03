"""What the structures over days share: the days as runs, trimmed to the latest."""

from incentives.days import add_day
from incentives.structures import block
from incentives.structures.block import EventBlock, Fact, State, TooLate


class RunsBlock(EventBlock):
    """A structure over the days on which events happen, kept as runs of days."""

    def empty(self) -> State:
        """`past`: what the runs trimmed off amount to; they end with the day `until`."""
        return {"past": 0, "until": 0, "runs": []}

    def add(self, state: State, fact: Fact) -> bool:
        value = self.value(fact) if self.takes(fact) else 0
        if not value:
            return False
        day = fact.day.toordinal()
        if day <= state["until"] + 1:
            raise TooLate
        add_day(state["runs"], day)
        return True

    def value(self, fact: Fact) -> int:
        """0 if the fact does not count."""
        return 1

    def trim(self, state: State) -> None:
        runs = state["runs"]
        while runs and runs[0][1] < runs[-1][1] - block.KEPT_DAYS:
            first, last = runs.pop(0)
            state["past"] += self.worth(last - first + 1)
            state["until"] = last

    def is_trimmed(self, state: State) -> bool:
        return bool(state["until"])

    def worth(self, days: int) -> int:
        """What a run of so many days amounts to."""
        return days

    def total(self, state: State) -> int:
        recent = sum(self.worth(last - first + 1) for first, last in state["runs"])
        return int(state["past"]) + recent
