"""Structures over others: all of them, any of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from incentives.structures.block import Block, Fact, State

if TYPE_CHECKING:
    from incentives.structures import Structure

MOST_PARTS = 10


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
