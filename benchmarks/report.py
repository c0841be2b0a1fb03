"""Paired rounds and how they are printed."""

import statistics
from collections.abc import Callable


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def ratio(
    label: str, ours: Callable[[], float], rival: Callable[[], float], *, rounds: int = 5
) -> float:
    """Both in turn, `rounds` times; prints the medians and the median ratio with its range."""
    pairs = [(rival(), ours()) for _ in range(rounds)]
    ratios = sorted(mine / theirs for theirs, mine in pairs)
    middle = statistics.median(ratios)
    print(
        f"{label:58} {statistics.median(mine for _, mine in pairs):9.1f}"
        f" : {statistics.median(theirs for theirs, _ in pairs):9.1f}"
        f"   ratio {middle:5.2f} [{ratios[0]:.2f}…{ratios[-1]:.2f}]"
    )
    return middle
