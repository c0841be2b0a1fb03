"""The menu of structures: how an event changes the state, and when it is achieved.

A structure is one class: what it needs as fields, an empty state, what a fact adds to it, and what
the state amounts to. States are plain JSON in which facts commute: in whatever order they come,
the same facts make the same state. A state that would grow with its history is trimmed to the
latest days; what is older can still be told from the log. `docs/incentives.md` shows how to add
one.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from incentives.days import add_day, each_day, length

MOST_PARTS, MOST_BLOCKS = 10, 20
# A trimmed state keeps the days that are not further than this from its latest one.
KEPT_DAYS = 60
# Values are added up in millionths, as integers: exact, and the same in any order.
MILLION, MILLIONTH = 10**6, Decimal("0.000001")
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
        while runs and runs[0][1] < runs[-1][1] - KEPT_DAYS:
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
        old = bisect_left(days, days[-1][0] - KEPT_DAYS, key=lambda each: each[0]) if days else 0
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


class Sum(RunsBlock):
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
        return {"millionths": 0, **super().empty()}

    def add(self, state: State, fact: Fact) -> bool:
        is_counted = super().add(state, fact)
        state["millionths"] += self.value(fact) if is_counted else 0
        return is_counted

    def value(self, fact: Fact) -> int:
        return max(millionths_of(fact.data.get(self.field)), 0)

    def reached(self, state: State) -> int:
        return int(state["millionths"] // (self.threshold * MILLION))

    def current(self, state: State) -> int:
        return int(state["millionths"] // MILLION)

    def basis(self, state: State) -> set[int]:
        return set(each_day(state["runs"]))

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
    # Not by way of its fraction, whose denominator `1e-999999999` makes as large as memory.
    return int(number.quantize(MILLIONTH, ROUND_DOWN) * MILLION)


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

    def trim(self, state: State) -> None:
        for part, own in zip(self.parts, state, strict=True):
            part.trim(own)

    def is_trimmed(self, state: State) -> bool:
        return any(part.is_trimmed(own) for part, own in zip(self.parts, state, strict=True))

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
