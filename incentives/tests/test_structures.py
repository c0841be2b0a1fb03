"""Every structure against brute force, whatever the order in which facts come."""

import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest
from django.conf import settings as settings_of_django
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from incentives.structures import Fact, read_structure

DAY = date(2026, 1, 1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def facts_of(minutes_and_kinds):
    return [
        Fact(kind, (at := START + timedelta(minutes=minute)).date(), at, {"steps": steps})
        for minute, kind, steps in minutes_and_kinds
    ]


FACTS = st.lists(
    st.tuples(st.integers(0, 24 * 60 * 20 - 1), st.sampled_from("ab"), st.integers(-2, 9)),
    max_size=30,
).map(facts_of)


def leaves():
    event = st.sampled_from("ab")
    few = st.integers(1, 4)
    return st.one_of(
        st.fixed_dictionaries({"structure": st.just("single"), "event": event}),
        st.fixed_dictionaries(
            {"structure": st.just("consecutive_days"), "event": event, "days": few}
        ),
        st.fixed_dictionaries({"structure": st.just("distinct_days"), "event": event, "days": few}),
        st.fixed_dictionaries(
            {
                "structure": st.just("times_in_window"),
                "event": event,
                "times": few,
                "window": st.integers(1, 6),
            }
        ),
        st.fixed_dictionaries(
            {
                "structure": st.just("sum"),
                "event": event,
                "field": st.just("steps"),
                "threshold": st.integers(1, 20),
            }
        ),
    )


STRUCTURES = st.recursive(
    leaves(),
    lambda inner: st.fixed_dictionaries(
        {
            "structure": st.sampled_from(["all_of", "any_of"]),
            "parts": st.lists(inner, min_size=2, max_size=3),
        }
    ),
    max_leaves=4,
)


def brute_force(spec, facts):
    """How often it is achieved, by definition and without regard to cost."""
    kind = spec["structure"]
    if kind in ("all_of", "any_of"):
        times = [brute_force(part, facts) for part in spec["parts"]]
        return min(times) if kind == "all_of" else sum(times)
    own = [fact for fact in facts if fact.type == spec["event"]]
    days = sorted({fact.day.toordinal() for fact in own})
    if kind == "single":
        return len(own)
    if kind == "distinct_days":
        return len(days) // spec["days"]
    if kind == "consecutive_days":
        runs = groupby(enumerate(days), key=lambda each: each[1] - each[0])
        return sum(len(list(run)) // spec["days"] for _, run in runs)
    if kind == "sum":
        return sum(max(fact.data["steps"], 0) for fact in own) // spec["threshold"]
    return most_windows(sorted(fact.day.toordinal() for fact in own), spec["times"], spec["window"])


def most_windows(days, times, window):
    """The most groups of `times` events within `window` days that share none: every choice tried.

    In the order of time, an event either begins a group with the next ones, or is left out.
    """
    best = [0] * (len(days) + 1)
    for start in reversed(range(len(days))):
        best[start] = best[start + 1]
        end = start + times
        if end <= len(days) and days[end - 1] - days[start] < window:
            best[start] = max(best[start], 1 + best[end])
    return best[0]


def state_of(structure, facts):
    state = structure.empty()
    for fact in facts:
        structure.add(state, fact)
    return state


@settings(max_examples=400, deadline=None)
@given(STRUCTURES, FACTS)
def test_a_structure_is_achieved_as_often_as_brute_force_says(spec, facts):
    structure = read_structure(spec)
    assert structure.reached(state_of(structure, facts)) == brute_force(spec, facts)


@settings(max_examples=400, deadline=None)
@given(STRUCTURES, FACTS, st.randoms(use_true_random=False))
def test_the_order_of_facts_leaves_no_trace_in_the_state(spec, facts, order: random.Random):
    structure = read_structure(spec)
    shuffled = facts[:]
    order.shuffle(shuffled)
    assert state_of(structure, shuffled) == state_of(structure, facts)


@settings(max_examples=200, deadline=None)
@given(STRUCTURES, FACTS)
def test_a_further_fact_never_makes_it_less(spec, facts):
    structure = read_structure(spec)
    state, before = structure.empty(), 0
    for fact in facts:
        structure.add(state, fact)
        assert structure.reached(state) >= before
        before = structure.reached(state)


@settings(max_examples=200, deadline=None)
@given(STRUCTURES, FACTS)
def test_a_state_survives_its_rest_in_the_database(spec, facts):
    structure = read_structure(spec)
    state, stored = structure.empty(), structure.empty()
    for fact in facts:
        structure.add(state, fact)
        stored = json.loads(json.dumps(stored))
        structure.add(stored, fact)
    assert stored == state


@settings(max_examples=200, deadline=None)
@given(STRUCTURES, FACTS)
def test_what_it_says_of_itself_holds_together(spec, facts):
    structure = read_structure(spec)
    facts = sorted(facts, key=lambda fact: fact.at)
    state = state_of(structure, facts)
    heard = {fact.day.toordinal() for fact in facts if fact.type in structure.types}
    assert structure.current(state) >= 0
    if structure.reached(state):
        assert structure.basis(state)
        assert structure.basis(state) <= heard
    else:
        assert structure.current(state) < structure.target
    assert structure.sentence({})


def run(spec, *days, **data):
    structure = read_structure(spec)
    ordinal = DAY.toordinal()
    facts = [
        Fact("a", date.fromordinal(ordinal + day), START + timedelta(days=day), data)
        for day in days
    ]
    return structure, state_of(structure, facts)


STREAK = {"structure": "consecutive_days", "event": "a", "days": 5}


def test_a_streak_shows_its_latest_run():
    structure, state = run(STREAK, 1, 2, 3, 4, 6)
    assert (structure.reached(state), structure.current(state)) == (0, 1)
    structure, state = run(STREAK, 1, 2, 3, 4, 6, 5)
    assert (structure.reached(state), structure.current(state)) == (1, 6)


@pytest.mark.parametrize(
    ("days", "times"),
    [([*range(10)], 2), ([*range(9)], 1), ([0, 1, 2, 3, 5, 6, 7, 8, 4], 1)],
    ids=["ten in a row", "nine in a row", "four and four, joined late"],
)
def test_a_longer_run_is_achieved_once_for_each_full_length(days, times):
    structure, state = run(STREAK, *days)
    assert structure.reached(state) == times


def test_a_streak_stands_on_its_own_days():
    structure, state = run(STREAK, 0, 1, 2, 3, 4, 5, 6)
    assert structure.basis(state) == {DAY.toordinal() + day for day in range(5)}


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (3, 3),
        ("2.5", 2),
        (True, 0),
        ("no number", 0),
        (None, 0),
        (-4, 0),
        ("NaN", 0),
        ("Infinity", 0),
        ("1e-999999999", 0),
        ("1e999999999", 0),
        ("2." + "9" * 40, 2),
        (10**12 + 1, 0),
        ([1], 0),
        (2.5, 0),
    ],
)
def test_only_a_positive_number_adds_to_a_sum(value, whole):
    spec = {"structure": "sum", "event": "a", "field": "steps", "threshold": 100}
    structure, state = run(spec, 1, steps=value)
    assert structure.current(state) == whole


def test_a_sum_is_exact():
    spec = {"structure": "sum", "event": "a", "field": "km", "threshold": 1}
    structure, state = run(spec, *range(9), km="0.1")
    assert (structure.reached(state), structure.current(state)) == (0, 0)
    structure, state = run(spec, *range(10), km="0.1")
    assert (structure.reached(state), structure.current(state)) == (1, 1)


def test_conditions_on_the_data_are_met_exactly():
    structure = read_structure({"structure": "single", "event": "a", "where": {"quiz": "bonds"}})
    taken = Counter(
        structure.takes(Fact("a", DAY, START, data))
        for data in [{"quiz": "bonds"}, {"quiz": "stocks"}, {}, {"quiz": None}]
    )
    assert taken == {True: 1, False: 3}
    one = read_structure({"structure": "single", "event": "a", "where": {"number": 1}})
    assert not one.takes(Fact("a", DAY, START, {"number": True}))


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"structure": "magic", "event": "a"},
        {"structure": "single"},
        {"structure": "single", "event": "A b"},
        {"structure": "single", "event": "a", "days": 3},
        {"structure": "consecutive_days", "event": "a", "days": 0},
        {"structure": "consecutive_days", "event": "a", "days": True},
        {"structure": "consecutive_days", "event": "a", "days": "5"},
        {"structure": "times_in_window", "event": "a", "times": 2},
        {"structure": "sum", "event": "a", "field": "steps", "threshold": 0},
        {"structure": "all_of", "parts": [{"structure": "single", "event": "a"}]},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(spec):
    with pytest.raises(ValidationError):
        read_structure(spec)


def test_structures_in_structures_have_an_end():
    single = {"structure": "single", "event": "a"}
    inner = {"structure": "all_of", "parts": [single] * 9}
    with pytest.raises(ValueError, match="At most 20"):
        read_structure({"structure": "any_of", "parts": [inner, inner]})


def test_the_sentence_says_it_all():
    structure = read_structure(
        {
            "structure": "all_of",
            "parts": [
                STREAK,
                {"structure": "times_in_window", "event": "b", "times": 3, "window": 30},
                {"structure": "sum", "event": "b", "field": "steps", "threshold": 10_000},
            ],
        }
    )
    assert structure.sentence({"a": "health data logged", "b": "activity tracked"}) == (
        "all of these: “health data logged” happens on 5 days in a row; "
        "“activity tracked” happens 3 times within 30 days; "
        "the steps of “activity tracked” add up to 10,000"
    )


def test_the_example_in_the_docs_is_a_structure():
    text = Path(settings_of_django.BASE_DIR, "docs/incentives.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    names = {"__name__": "weekends"}
    exec(example, names)  # noqa: S102
    spec = {"structure": "weekends", "event": "a", "weekends": 2}
    weekends = names["Weekends"].model_validate(spec)
    # The first of January 2026 is a Thursday.
    days = [date(2026, 1, day) for day in (1, 3, 4, 9, 11, 18)]
    facts = [Fact("a", day, START, {}) for day in days]
    state = state_of(weekends, facts)
    assert state == state_of(weekends, facts[::-1])
    assert (weekends.reached(state), weekends.current(state)) == (1, 3)
    assert weekends.basis(state) == {date(2026, 1, day).toordinal() for day in (3, 10)}
    assert weekends.sentence({}) == "“a” happens on 2 weekends"
