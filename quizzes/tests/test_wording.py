"""Questions, answers and places in words."""

import pytest

from quizzes.document import DocumentRefused
from quizzes.tests import (
    fill_gap,
    matching,
    multiple_choice,
    question,
    read,
    single_choice,
    typed_gap,
    words,
)
from quizzes.wording import Part, given, place, plainly, solution, statement


def test_a_gap_text_shows_a_line_for_every_gap():
    assert statement(question(fill_gap()), "en") == "The ____ of it is ____. [en]"


def test_a_question_without_this_language_is_shown_in_another():
    assert statement(question(single_choice(prompt={"en": "", "tr": "Hangi?"})), "de") == "Hangi?"


CASES = [
    (single_choice(), {"option": "opt-a"}, [Part("", "Choice a [tr]", False)]),
    (
        multiple_choice(),
        {"options": ["opt-c", "opt-a"]},
        [Part("", "Choice a [tr]", True), Part("", "Choice c [tr]", False)],
    ),
    (
        fill_gap(),
        {"gaps": {"1": "ACCEPTED TR", "2": "opt-x"}},
        [Part("{{1}}", "ACCEPTED TR", True), Part("{{2}}", "Choice x [tr]", False)],
    ),
    (fill_gap(), {"gaps": {"1": ""}}, []),
    (
        matching(),
        {"pairs": {"pair-1": "pair-1", "pair-3": "decoy-4"}},
        [
            Part("Left 1 [tr]", "Right 1 [tr]", True),
            Part("Left 3 [tr]", "Right 4 [tr]", False),
        ],
    ),
]


@pytest.mark.parametrize(("data", "answer", "parts"), CASES)
def test_an_answer_is_told_part_by_part(data, answer, parts):
    if data["type"] == "fill_gap":
        data["gaps"][0]["accepted"]["tr"] = ["accepted tr"]
    assert given(question(data), answer, "tr") == parts


def test_a_solution_names_everything_that_is_accepted():
    gap = typed_gap("bond", "bonds")
    assert solution(question(gap), "en") == [Part("", "bond / bonds", True)]
    assert [part.text for part in solution(question(multiple_choice()), "en")] == [
        "Choice a [en]",
        "Choice b [en]",
    ]
    assert [part.text for part in solution(question(matching(pairs="12")), "de")] == [
        "Right 1 [de]",
        "Right 2 [de]",
    ]
    picked = fill_gap(text=words("{{2}}"), gaps=fill_gap()["gaps"][1:])
    assert solution(question(picked), "es") == [Part("", "Choice y [es]", True)]


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        ("", "the whole document"),
        ("/title", "title"),
        ("/title/en", "title, en"),
        ("/questions/2", "question 3"),
        ("/questions/2/text", "question 3, text"),
        ("/questions/0/options/1/text", "question 1, option 2"),
        ("/questions/0/gaps/0/options/1/text", "question 1, gap 1, option 2"),
        ("/questions/0/pairs/0/left", "question 1, pair 1, left"),
        ("/questions/0/gaps/0/accepted", "question 1, gap 1, accepted answers"),
        ("/a~1b", "a/b"),
    ],
)
def test_a_place_has_a_name(pointer, name):
    assert place(pointer) == name


def plain_faults(*questions, **changes):
    with pytest.raises(DocumentRefused) as refused:
        read(*questions, **changes)
    return {fault["pointer"]: plainly(fault) for fault in refused.value.faults}


def test_faults_are_told_to_authors_in_plain_words():
    assert plain_faults(slug="no slug") == {
        "/slug": "1 to 100 letters without accents, digits, hyphens or underscores."
    }
    few = single_choice(key="a b", options=[], prompt=words("x" * 5001))
    del few["explanation"]["en"]
    assert set(plain_faults({**few, "hint": "x"}).values()) == {
        "1 to 100 characters, without spaces and braces.",
        "At least 2 needed.",
        "At most 5000 characters.",
        "Not known to this version of the product.",
    }
    assert plain_faults({"key": "q", "type": "matching", "pairs": []}) == {
        "/questions/0/prompt": "Missing.",
        "/questions/0/pairs": "At least 1 needed.",
    }
    both = single_choice(right="ab")
    assert plain_faults(both) == {"/questions/0": "Exactly one option must be correct."}
