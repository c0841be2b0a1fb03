"""The menu of structures: how an event changes the state, and when it is achieved.

A structure is one small pure class in a module of its own: what it needs as fields, an empty state,
what a fact adds to it, and what the state amounts to. States are plain JSON in which facts commute:
in whatever order they come, the same facts make the same state. A state that would grow with its
history is trimmed to the latest days; what is older can still be told from the log.
`docs/incentives.md` shows how to add one.
"""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from incentives.structures.block import Block, Fact, State, TooLate
from incentives.structures.consecutive_days import ConsecutiveDays
from incentives.structures.distinct_days import DistinctDays
from incentives.structures.parts import AllOf, AnyOf, Parts
from incentives.structures.single import Single
from incentives.structures.sum_to_threshold import Sum
from incentives.structures.times_in_window import TimesInWindow

__all__ = ["Block", "Fact", "Parts", "State", "Structure", "Sum", "TooLate", "read_structure"]

MOST_BLOCKS = 20

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
