from __future__ import annotations

import random
from datetime import datetime, timezone

import pytest

from usage_client.retries import LONGEST_PAUSE, Budget, pause_after, retry_after

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("99999999999999999999", 999999999),
        ("Fri, 27 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 27 Nov 2026 11:00:00 GMT", 0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_retry_after_in_both_its_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_pauses_are_anything_up_to_twice_as_long_each_time() -> None:
    rng = random.Random(1)
    for attempt in (1, 2, 3, 10, 10_000):
        found = [pause_after(attempt, rng) for _ in range(500)]
        most = min(LONGEST_PAUSE, 0.1 * 2 ** min(attempt - 1, 20))
        assert 0 <= min(found) < most / 10
        assert most * 0.9 < max(found) <= most


def test_a_budget_ends_when_calls_give_up_and_comes_back_with_success() -> None:
    budget = Budget(8)
    for _ in range(4):
        budget.gave_up()
    assert not budget.take()
    budget.succeeded(1)
    assert budget.take()


def test_a_success_gives_back_what_it_took() -> None:
    budget = Budget(10)
    for _ in range(1000):
        assert budget.take()
        assert budget.take()
        budget.succeeded(2)
