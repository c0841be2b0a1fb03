"""What every structure answers, and what those over events of one type share."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# A trimmed state keeps the days that are not further than this from its latest one.
KEPT_DAYS = 60

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Days = Annotated[int, Field(ge=1, le=3660)]
Times = Annotated[int, Field(ge=1, le=100_000)]
State = Any


class Fact(NamedTuple):
    """An event as a rule sees it: this happened, on this local day."""

    type: str
    day: date
    at: datetime
    data: Mapping[str, Any]


class TooLate(Exception):
    """The fact is from a time that the state was trimmed of: only the log can tell."""


class Block(BaseModel):
    """What every structure answers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    structure: str

    @property
    def types(self) -> frozenset[str]:
        """The event types it listens to."""
        raise NotImplementedError

    @property
    def target(self) -> int:
        """How much of `unit` achieves it."""
        raise NotImplementedError

    @property
    def unit(self) -> str:
        raise NotImplementedError

    def empty(self) -> State:
        raise NotImplementedError

    def add(self, state: State, fact: Fact) -> bool:
        """Change the state by a fact, whatever its place in time; False if it does not count.

        Raises TooLate.
        """
        raise NotImplementedError

    def trim(self, state: State) -> None:
        """Forget what is long past, if the state grows with it."""

    def is_trimmed(self, state: State) -> bool:
        return False

    def reached(self, state: State) -> int:
        """How often it is achieved; a further fact never makes it less."""
        raise NotImplementedError

    def current(self, state: State) -> int:
        """How far it is; beyond the target is as good as there."""
        raise NotImplementedError

    def basis(self, state: State) -> set[int]:
        """The days (ordinals) that the latest achievement stands on.

        Asked of a state that was never trimmed, as soon as facts in the order of time achieve it.
        """
        raise NotImplementedError

    def sentence(self, labels: Mapping[str, str]) -> str:
        """The condition in words; `labels` names the event types."""
        raise NotImplementedError


class EventBlock(Block):
    """A structure over events of one type, or only those whose data say so."""

    event: Name
    where: dict[Name, str | int | bool] = {}

    @property
    def types(self) -> frozenset[str]:
        return frozenset({self.event})

    def takes(self, fact: Fact) -> bool:
        return fact.type == self.event and all(
            type(fact.data.get(name)) is type(value) and fact.data[name] == value
            for name, value in self.where.items()
        )

    def subject(self, labels: Mapping[str, str]) -> str:
        said = labels.get(self.event, self.event.replace("_", " "))
        conditions = " and ".join(f"{name} is {value}" for name, value in self.where.items())
        return f"“{said}”" + (f" (where {conditions})" if conditions else "")
