"""What a report hides, so that nobody behind a small number is recognised, also by subtraction."""

from collections.abc import Mapping
from dataclasses import dataclass

SMALLEST = 10


@dataclass(frozen=True)
class Shown:
    """Counts as they may be shown; None is hidden."""

    cells: dict[str, int | None]
    total: int | None

    @property
    def is_complete(self) -> bool:
        return None not in self.cells.values()


def shown(counts: Mapping[str, int], *, population: int, smallest: int = SMALLEST) -> Shown:
    """Each count is of people out of `population`; the total is the sum of the counts.

    Hidden is what tells of fewer than `smallest` people, be it those who did (nobody included:
    that a number is hidden must not say that there is somebody) or those who did not. What the
    total would tell about the hidden ones by subtraction is hidden with them: the smallest of
    the others first, in the end the total itself.
    """
    hidden = {name for name, count in counts.items() if tells_of_few(count, population, smallest)}
    visible = sorted(counts.keys() - hidden, key=lambda name: (counts[name], name))
    while is_told_by_the_total(hidden, counts, smallest) and visible:
        hidden.add(visible.pop(0))
    is_total_told = is_told_by_the_total(hidden, counts, smallest)
    return Shown(
        {name: None if name in hidden else count for name, count in counts.items()},
        None if is_total_told else sum(counts.values()),
    )


def tells_of_few(count: int, population: int, smallest: int) -> bool:
    return count < smallest or population - count < smallest


def is_told_by_the_total(hidden: set[str], counts: Mapping[str, int], smallest: int) -> bool:
    """One alone is the total less the others; several that add up to few are each of few."""
    return bool(hidden) and (len(hidden) < 2 or sum(counts[name] for name in hidden) < smallest)
