from fractions import Fraction
from itertools import chain, combinations, permutations, product

import pytest

from quizzes.document import LANGUAGES
from quizzes.grading import Grade, correct_answer, grade, is_answered
from quizzes.tests import (
    ONE_OF_EACH,
    fill_gap,
    matching,
    multiple_choice,
    question,
    single_choice,
    typed_gap,
    words,
)

WRONG = Grade(False, Fraction(0))
RIGHT = Grade(True, Fraction(1))


def subsets(keys):
    return chain.from_iterable(combinations(keys, size) for size in range(len(keys) + 1))


# Single choice


@pytest.mark.parametrize(("right", "picked"), list(product("abcde", repeat=2)))
def test_a_single_choice_is_right_or_worth_nothing(right, picked):
    asked = question(single_choice("abcde", right))
    assert grade(asked, {"option": f"opt-{picked}"}, "en") == (RIGHT if picked == right else WRONG)


# Multiple choice


@pytest.mark.parametrize("keys", ["ab", "abc", "abcd", "abcde"])
def test_a_multiple_choice_earns_right_picks_minus_wrong_picks_and_never_below_nothing(keys):
    for right in map("".join, subsets(keys)):
        if not right:
            continue
        asked = question(multiple_choice(keys, right))
        for picked in subsets(keys):
            earned = sum(1 if key in right else -1 for key in picked)
            expected = Grade(
                is_correct="".join(picked) == right,
                score=Fraction(earned, len(right)) if earned > 0 else Fraction(0),
            )
            answer = {"options": [f"opt-{key}" for key in picked]}
            assert grade(asked, answer, "en") == expected, (right, picked)


@pytest.mark.parametrize(
    ("picked", "score", "is_correct"),
    [
        ("", 0, False),
        ("a", Fraction(1, 2), False),
        ("ab", 1, True),
        ("ac", 0, False),
        ("abc", Fraction(1, 2), False),
        ("abcd", 0, False),
        ("cd", 0, False),
    ],
)
def test_the_same_answer_earns_what_the_field_calls_net_correct(picked, score, is_correct):
    asked = question(multiple_choice("abcd", "ab"))
    answer = {"options": [f"opt-{key}" for key in picked]}
    assert grade(asked, answer, "en") == Grade(is_correct, Fraction(score))


def test_ticking_everything_is_wrong_unless_everything_is_right():
    everything = {"options": ["opt-a", "opt-b", "opt-c"]}
    assert grade(question(multiple_choice("abc", "ab")), everything, "en") == Grade(
        False, Fraction(1, 2)
    )
    assert grade(question(multiple_choice("abc", "a")), everything, "en") == WRONG
    assert grade(question(multiple_choice("abc", "abc")), everything, "en") == RIGHT


def test_the_order_of_the_picks_and_repeated_picks_change_nothing():
    asked = question(multiple_choice("abcd", "abc"))
    for picked in map(list, subsets("abcd")):
        expected = grade(asked, {"options": [f"opt-{key}" for key in picked]}, "en")
        for order in permutations(picked):
            keys = [f"opt-{key}" for key in order]
            assert grade(asked, {"options": keys}, "en") == expected
            assert grade(asked, {"options": keys + keys}, "en") == expected


# Gaps


def gaps_in_a_row():
    """Two typed gaps around one with options: `1` blue or azure, `2` opt-y, `3` red."""
    return question(
        fill_gap(
            text=words("{{1}} {{2}} {{3}}"),
            gaps=[
                {"key": "1", "accepted": {lang: ["blue", "azure"] for lang in LANGUAGES}},
                fill_gap()["gaps"][1],
                {"key": "3", "accepted": {lang: ["red"] for lang in LANGUAGES}},
            ],
        )
    )


TRIED = {
    "1": {"blue": 1, " AZURE": 1, "red": 0, "opt-y": 0, "": 0, "\u200b": 0, None: 0},
    "2": {"opt-y": 1, "opt-x": 0, "opt-z": 0, "": 0, None: 0},
    "3": {"Red": 1, "blue": 0, "0": 0, None: 0},
}


def test_gaps_earn_the_share_filled_rightly():
    asked = gaps_in_a_row()
    for tried in product(*TRIED.values()):
        answer = {key: given for key, given in zip(TRIED, tried, strict=True) if given is not None}
        right = sum(TRIED[key][given] for key, given in zip(TRIED, tried, strict=True))
        expected = Grade(right == 3, Fraction(right, 3))
        assert grade(asked, {"gaps": answer}, "en") == expected, answer


def test_gaps_are_answered_when_none_is_missing_or_blank():
    asked = gaps_in_a_row()
    for tried in product(*TRIED.values()):
        answer = {key: given for key, given in zip(TRIED, tried, strict=True) if given is not None}
        expected = all(given and given != "\u200b" for given in tried)
        assert is_answered(asked, {"gaps": answer}, "en") is expected, answer


@pytest.mark.parametrize("language", LANGUAGES)
def test_typed_text_is_compared_in_the_language_of_the_attempt_only(language):
    asked = question(fill_gap())
    for other in LANGUAGES:
        answer = {"gaps": {"1": f"accepted {other}", "2": "opt-y"}}
        assert grade(asked, answer, language).is_correct is (other == language)


@pytest.mark.parametrize(
    ("typed", "language", "is_right"),
    [
        ("KIRMIZI", "tr", True),
        ("KIRMIZI", "en", False),
        ("kirmizi", "tr", False),
        ("İZMİR", "tr", True),
        ("IZMIR", "tr", False),
        ("STRASSE", "de", True),
        ("Masse", "de", False),
        ("C", "en", False),
        ("C*", "en", True),
        ("0", "en", True),
        ("00", "en", False),
    ],
)
def test_a_typed_gap_is_right_when_any_accepted_answer_says_the_same(typed, language, is_right):
    accepted = ("kırmızı", "izmir", "Straße", "Maße", "C*", "0")
    asked = question(typed_gap(*accepted, language=language))
    assert grade(asked, {"gaps": {"1": typed}}, language) == (RIGHT if is_right else WRONG)


def test_zero_is_an_answer():
    asked = question(typed_gap("0"))
    assert is_answered(asked, {"gaps": {"1": "0"}}, "en")
    assert grade(asked, {"gaps": {"1": "0"}}, "en") == RIGHT


@pytest.mark.parametrize("blank", ["", " ", "\u00a0\t\n", "\u200b", "\ufeff\u00ad\u2060", "\u200e"])
def test_blank_text_is_no_answer(blank):
    asked = question(typed_gap("0"))
    assert not is_answered(asked, {"gaps": {"1": blank}}, "en")
    assert grade(asked, {"gaps": {"1": blank}}, "en") == WRONG


def test_an_option_counts_as_answered_however_odd_its_key_is():
    odd = fill_gap()["gaps"][1]
    odd["options"][1]["key"] = "\u200b"
    asked = question(fill_gap(text=words("{{2}}"), gaps=[odd]))
    assert is_answered(asked, {"gaps": {"2": "\u200b"}}, "en")
    assert grade(asked, {"gaps": {"2": "\u200b"}}, "en") == RIGHT


def test_options_of_a_gap_are_compared_by_key_and_never_folded():
    asked = question(fill_gap(text=words("{{2}}"), gaps=[fill_gap()["gaps"][1]]))
    assert grade(asked, {"gaps": {"2": "OPT-Y"}}, "en") == WRONG


# Matching


def test_matching_earns_the_share_of_pairs_put_together():
    asked = question(matching("123", "45"))
    lefts = ["pair-1", "pair-2", "pair-3"]
    rights = [*lefts, "decoy-4", "decoy-5", None]
    for chosen in product(rights, repeat=3):
        answer = {left: right for left, right in zip(lefts, chosen, strict=True) if right}
        right = sum(left == other for left, other in answer.items())
        assert grade(asked, {"pairs": answer}, "en") == Grade(right == 3, Fraction(right, 3))
        assert is_answered(asked, {"pairs": answer}, "en") is (None not in chosen)


def test_one_right_side_chosen_for_all_earns_its_own_pair_only():
    asked = question(matching("123", ""))
    answer = {"pairs": dict.fromkeys(("pair-1", "pair-2", "pair-3"), "pair-2")}
    assert grade(asked, answer, "en") == Grade(False, Fraction(1, 3))


def test_the_order_of_pairs_changes_nothing():
    asked = question(matching("123", "4"))
    together = [("pair-1", "pair-1"), ("pair-2", "decoy-4"), ("pair-3", "pair-3")]
    for order in permutations(together):
        assert grade(asked, {"pairs": dict(order)}, "en") == Grade(False, Fraction(2, 3))


# Every type


@pytest.mark.parametrize(
    ("asked", "empty"),
    [
        (multiple_choice(), {"options": []}),
        (fill_gap(), {"gaps": {}}),
        (fill_gap(), {"gaps": {"1": "", "2": ""}}),
        (matching(), {"pairs": {}}),
    ],
)
def test_an_answer_that_leaves_everything_open_is_none_and_earns_nothing(asked, empty):
    asked = question(asked)
    assert grade(asked, empty, "en") == WRONG
    assert not is_answered(asked, empty, "en")


@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_no_answer_is_no_answer(data):
    assert not is_answered(question(data()), None, "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_the_model_answer_is_complete_and_right(data, language):
    asked = question(data())
    model = correct_answer(asked, language)
    assert is_answered(asked, model, language)
    assert grade(asked, model, language) == RIGHT


def test_the_model_answer_names_the_key():
    assert correct_answer(question(single_choice()), "en") == {"option": "opt-b"}
    assert correct_answer(question(multiple_choice("abcd", "db")), "en") == {
        "options": ["opt-b", "opt-d"]
    }
    assert correct_answer(question(matching()), "en") == {
        "pairs": {"pair-1": "pair-1", "pair-2": "pair-2", "pair-3": "pair-3"}
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_several_accepted_answers_the_model_is_the_first_in_that_language(language):
    assert correct_answer(question(fill_gap()), language) == {
        "gaps": {"1": f"accepted {language}", "2": "opt-y"}
    }


def test_scores_are_exact():
    asked = question(matching("1234567", ""))
    answer = {"pairs": {f"pair-{key}": f"pair-{key}" for key in "123"}}
    score = grade(asked, answer, "en").score
    assert isinstance(score, Fraction)
    assert score * 7 == 3


def test_nearly_everything_right_is_not_correct():
    keys = [f"{index}" for index in range(50)]
    asked = question(matching(keys, ""))
    answer = {f"pair-{key}": f"pair-{key}" for key in keys}
    answer["pair-49"] = "pair-48"
    assert grade(asked, {"pairs": answer}, "en") == Grade(False, Fraction(49, 50))
