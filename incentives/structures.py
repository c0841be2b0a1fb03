"""The menu of structures: how an event changes the state, and when it is achieved.

A structure is one class: what it needs as fields, an empty state, what a fact adds to it, and what
the state amounts to. States are plain JSON in which facts commute: in whatever order they come,
the same facts make the same state. `docs/incentives.md` shows how to add one.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from incentives.days import add_day, count, each_day

MOST_PARTS, MOST_BLOCKS = 10, 20
# Values are added up in millionths, as integers: exact, and the same in any order.
MILLION = 10**6
LARGEST_VALUE = 10**12

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
        """Change the state by a fact, whatever its place in time; False if it does not count."""
        raise NotImplementedError

    def reached(self, state: State) -> int:
        """How often it is achieved; a further fact never makes it less."""
        raise NotImplementedError

    def current(self, state: State) -> int:
        """How far it is; beyond the target is as good as there."""
        raise NotImplementedError

    def basis(self, state: State) -> set[int]:
        """The days (ordinals) that the latest achievement stands on, when facts came in order."""
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


class ConsecutiveDays(EventBlock):
    """A longer run is achieved once for each full length, without overlap."""

    structure: Literal["consecutive_days"]
    days: Days

    @property
    def target(self) -> int:
        return self.days

    @property
    def unit(self) -> str:
        return "days"

    def empty(self) -> State:
        return []

    def add(self, state: State, fact: Fact) -> bool:
        return self.takes(fact) and (add_day(state, fact.day.toordinal()) or True)

    def reached(self, state: State) -> int:
        return sum((last - first + 1) // self.days for first, last in state)

    def current(self, state: State) -> int:
        return state[-1][1] - state[-1][0] + 1 if state else 0

    def basis(self, state: State) -> set[int]:
        first, last = next(run for run in reversed(state) if run[1] - run[0] + 1 >= self.days)
        end = first + (last - first + 1) // self.days * self.days
        return set(range(end - self.days, end))

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens on {self.days:,} days in a row"


class DistinctDays(EventBlock):
    structure: Literal["distinct_days"]
    days: Days

    @property
    def target(self) -> int:
        return self.days

    @property
    def unit(self) -> str:
        return "days"

    def empty(self) -> State:
        return []

    def add(self, state: State, fact: Fact) -> bool:
        return self.takes(fact) and (add_day(state, fact.day.toordinal()) or True)

    def reached(self, state: State) -> int:
        return count(state) // self.days

    def current(self, state: State) -> int:
        return count(state)

    def basis(self, state: State) -> set[int]:
        end = self.reached(state) * self.days
        return set(list(each_day(state))[end - self.days : end])

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens on {self.days:,} different days"


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
        return []

    def add(self, state: State, fact: Fact) -> bool:
        """The state: [day, how many on it], in the order of days."""
        if not self.takes(fact):
            return False
        day = fact.day.toordinal()
        place = bisect_left(state, day, key=lambda each: each[0])
        if place < len(state) and state[place][0] == day:
            state[place][1] += 1
        else:
            state.insert(place, [day, 1])
        return True

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
        reached, open_days, held, latest = 0, deque[list[int]](), 0, set[int]()
        for day, times in state:
            while open_days and open_days[0][0] <= day - self.window:
                held -= open_days.popleft()[1]
            while held + times >= self.times:
                reached += 1
                latest = {each for each, _ in open_days} | {day}
                times -= self.times - held
                open_days.clear()
                held = 0
            if times:
                open_days.append([day, times])
                held += times
        return reached, open_days, latest

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.subject(labels)} happens {self.times:,} times within {self.window:,} days"


class Sum(EventBlock):
    """Each time the total passes the threshold once more, it is achieved once more."""

    structure: Literal["sum"]
    field: Name
    threshold: Annotated[int, Field(ge=1, le=LARGEST_VALUE)]

    @property
    def target(self) -> int:
        return self.threshold

    @property
    def unit(self) -> str:
        return self.field

    def empty(self) -> State:
        return {"millionths": 0, "days": []}

    def add(self, state: State, fact: Fact) -> bool:
        millionths = millionths_of(fact.data.get(self.field)) if self.takes(fact) else 0
        if millionths <= 0:
            return False
        state["millionths"] += millionths
        add_day(state["days"], fact.day.toordinal())
        return True

    def reached(self, state: State) -> int:
        return int(state["millionths"] // (self.threshold * MILLION))

    def current(self, state: State) -> int:
        return int(state["millionths"] // MILLION)

    def basis(self, state: State) -> set[int]:
        return set(each_day(state["days"]))

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"the {self.field} of {self.subject(labels)} add up to {self.threshold:,}"


def millionths_of(value: object) -> int:
    """0 for what is no number within bounds; what is finer than a millionth is cut off."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return 0
    try:
        number = Decimal(value)
    except InvalidOperation:
        return 0
    if not number.is_finite() or not -LARGEST_VALUE <= number <= LARGEST_VALUE:
        return 0
    numerator, denominator = number.as_integer_ratio()
    return numerator * MILLION // denominator


class Parts(Block):
    """A structure over others."""

    parts: Annotated[list["Structure"], Field(min_length=2, max_length=MOST_PARTS)]

    @property
    def types(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.types for part in self.parts))

    @property
    def unit(self) -> str:
        return "parts"

    def empty(self) -> State:
        return [part.empty() for part in self.parts]

    def add(self, state: State, fact: Fact) -> bool:
        # Not `any`, which would stop at the first: every part must see the fact.
        return sum(part.add(own, fact) for part, own in zip(self.parts, state, strict=True)) > 0

    def each_reached(self, state: State) -> list[int]:
        return [part.reached(own) for part, own in zip(self.parts, state, strict=True)]

    def basis(self, state: State) -> set[int]:
        return set[int]().union(
            *(
                part.basis(own)
                for part, own in zip(self.parts, state, strict=True)
                if part.reached(own)
            )
        )


class AllOf(Parts):
    """Achieved again when every part is achieved again."""

    structure: Literal["all_of"]

    @property
    def target(self) -> int:
        return len(self.parts)

    def reached(self, state: State) -> int:
        return min(self.each_reached(state))

    def current(self, state: State) -> int:
        return sum(times > 0 for times in self.each_reached(state))

    def sentence(self, labels: Mapping[str, str]) -> str:
        return "all of these: " + "; ".join(part.sentence(labels) for part in self.parts)


class AnyOf(Parts):
    """Every achievement of a part is one."""

    structure: Literal["any_of"]

    @property
    def target(self) -> int:
        return 1

    def reached(self, state: State) -> int:
        return sum(self.each_reached(state))

    def current(self, state: State) -> int:
        return self.reached(state)

    def sentence(self, labels: Mapping[str, str]) -> str:
        return "any of these: " + "; ".join(part.sentence(labels) for part in self.parts)


# The menu: a new structure joins it here.
Structure = Annotated[
    Single | ConsecutiveDays | DistinctDays | TimesInWindow | Sum | AllOf | AnyOf,
    Field(discriminator="structure"),
]
AllOf.model_rebuild()
AnyOf.model_rebuild()
MENU: TypeAdapter[Block] = TypeAdapter(Structure)


def read_structure(document: Any) -> Block:
    """Raises pydantic's ValidationError, with the place of every fault."""
    structure = MENU.validate_python(document)
    if size(structure) > MOST_BLOCKS:
        raise ValueError(f"At most {MOST_BLOCKS} structures in one.")
    return structure


def size(structure: Block) -> int:
    return 1 + sum(size(part) for part in getattr(structure, "parts", []))
