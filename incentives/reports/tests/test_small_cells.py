"""No number in a report tells of few people, whatever is subtracted from what."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from incentives.reports.small_cells import shown


def test_three_births_among_twenty_are_hidden():
    found = shown({"birth": 3, "streak": 11}, population=20, smallest=10)
    assert found.cells == {"birth": None, "streak": None}
    assert found.total is None or found.total >= 10


def test_a_single_hidden_number_takes_the_next_smallest_with_it():
    found = shown({"birth": 3, "streak": 400, "walk": 250}, population=1000, smallest=10)
    assert found.cells == {"birth": None, "streak": 400, "walk": None}
    assert found.total == 653


def test_hidden_numbers_that_add_up_to_few_take_another_with_them():
    found = shown({"a": 2, "b": 1, "c": 40, "d": 90}, population=1000, smallest=10)
    assert found.cells == {"a": None, "b": None, "c": None, "d": 90}
    assert found.total == 133


def test_with_nothing_left_to_hide_the_total_is_hidden():
    assert shown({"birth": 3}, population=1000).total is None
    assert shown({"birth": 3, "other": 2}, population=1000).total is None


def test_nobody_is_hidden_like_few():
    assert shown({"birth": 0}, population=1000) == shown({"birth": 9}, population=1000)


def test_nearly_everybody_tells_of_the_few_who_did_not():
    assert shown({"streak": 95}, population=100).cells == {"streak": None}
    assert shown({"streak": 90}, population=100).cells == {"streak": 90}


def test_large_numbers_are_all_shown():
    found = shown({"a": 10, "b": 500}, population=1000)
    assert found.cells == {"a": 10, "b": 500}
    assert (found.total, found.is_complete) == (510, True)
    assert shown({}, population=1000).total == 0


counts = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 60), max_size=5)


@given(counts, st.integers(60, 200), st.integers(2, 15))
def test_what_is_shown_is_true_and_of_many(counts, population, smallest):
    found = shown(counts, population=population, smallest=smallest)
    assert found.cells.keys() == counts.keys()
    for name, count in found.cells.items():
        assert count in (None, counts[name])
        assert count is None or smallest <= count <= population - smallest
    assert found.total in (None, sum(counts.values()))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 12), min_size=1),
    st.integers(2, 5),
)
def test_an_attacker_who_subtracts_is_left_with_a_range(counts, smallest):
    """Of all worlds that give the same report, a hidden number takes `smallest` or more values."""
    found = shown(counts, population=100, smallest=smallest)
    hidden = [name for name, count in found.cells.items() if count is None]
    if not hidden:
        return
    rest = None
    if found.total is not None:
        rest = found.total - sum(count for count in found.cells.values() if count is not None)
    worlds = [
        world
        for world in product(range(50), repeat=min(len(hidden), 2))
        if rest is None or sum(world) == rest or (len(hidden) > 2 and sum(world) <= rest)
    ]
    for index in range(min(len(hidden), 2)):
        assert len({world[index] for world in worlds}) >= smallest
