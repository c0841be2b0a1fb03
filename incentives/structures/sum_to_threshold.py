"""A field of the events adds up to a threshold."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import Field

from incentives.days import each_day
from incentives.structures.block import Fact, Name, State
from incentives.structures.runs import RunsBlock

# Values are added up in millionths, as integers: exact, and the same in any order.
MILLION, MILLIONTH = 10**6, Decimal("0.000001")
LARGEST_VALUE = 10**12


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
