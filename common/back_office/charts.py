"""Bars, drawn by unfold's charts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def bar_data(labels: Sequence[Any], series: Mapping[str, Sequence[float]], *colours: str) -> str:
    """For unfold's bar charts: series by name beside each other, in colours of the theme."""
    bars = [
        {"label": name, "data": data, "backgroundColor": f"var(--color-{colour})"}
        for (name, data), colour in zip(series.items(), colours, strict=False)
    ]
    return json.dumps({"labels": labels, "datasets": bars})


def bar_options(
    *, has_legend: bool = False, is_stacked: bool = False, is_count: bool = True
) -> str:
    """For unfold's bar charts, whose own options show no axis and halve what cannot be halved."""
    ink = "#9ca3af"  # to be read on white and in the dark
    amounts = {"color": ink, "precision": 0} if is_count else {"color": ink}
    options = {
        "animation": False,
        "maintainAspectRatio": False,
        "datasets": {"bar": {"borderRadius": 2, "maxBarThickness": 32}},
        "plugins": {
            "legend": {
                "display": has_legend,
                "position": "bottom",
                "labels": {"boxWidth": 12, "color": ink},
            }
        },
        "scales": {
            "x": {
                "stacked": is_stacked,
                "grid": {"display": False},
                "ticks": {"color": ink, "maxRotation": 0},
            },
            "y": {"stacked": is_stacked, "beginAtZero": True, "ticks": amounts},
        },
    }
    return json.dumps(options)
