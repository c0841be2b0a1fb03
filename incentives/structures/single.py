"""It happens."""

from collections.abc import Mapping
from typing import Literal

from incentives.structures.block import EventBlock, Fact, State


class Single(EventBlock):
    structure: Literal["single"]

    @property
    def target(self) -> int:
        return 1

    @property
    def unit(self) -> str:
        return "times"

    def empty(self) -> State:
        return {"times": 0, "latest": 0}

    def add(self, state: State, fact: Fact) -> bool:
        if not self.takes(fact):
            return False
        state["times"] += 1
        state["latest"] = max(state["latest"], fact.day.toordinal())
        return True

    def reached(self, state: State) -> int:
        return int(state["times"])

    def current(self, state: State) -> int:
        return int(state["times"])

    def basis(self, state: State) -> set[int]:
        return {state["latest"]}

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens"
