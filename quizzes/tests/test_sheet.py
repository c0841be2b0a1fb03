import json
import re
from collections import Counter
from decimal import Decimal
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quizzes.document import LANGUAGES
from quizzes.grading import correct_answer, grade, is_answered
from quizzes.sheet import AnswerRefused, Sheet, question_id
from quizzes.tests import (
    ONE_OF_EACH,
    changed,
    fill_gap,
    matching,
    multiple_choice,
    places,
    pointer,
    question,
    single_choice,
    typed_gap,
    words,
)

SALT = b"the salt of this quiz"
SEED = b"the seed of this attempt"


def sheet(data, *, salt=SALT, language="en"):
    return Sheet(question(data), salt, language)


def by_text(shown):
    return {each["text"]: each["id"] for each in shown}


def ids(served):
    """Every opaque id in a served question, gaps aside."""
    lists = [served.get("options", []), served.get("left", []), served.get("right", [])]
    lists += [gap.get("options", []) for gap in served.get("gaps", [])]
    return [[each["id"] for each in shown] for shown in lists if shown]


def faults(data, body):
    with pytest.raises(AnswerRefused) as refused:
        sheet(data).read(body)
    assert refused.value.faults
    assert all(set(fault) == {"pointer", "code", "detail"} for fault in refused.value.faults)
    return [(fault["pointer"], fault["code"]) for fault in refused.value.faults]


# What is served


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (single_choice, {"id", "type", "prompt", "options"}),
        (multiple_choice, {"id", "type", "prompt", "options"}),
        (fill_gap, {"id", "type", "text", "gaps"}),
        (matching, {"id", "type", "prompt", "left", "right"}),
    ],
)
def test_a_question_is_served_with_the_fields_of_its_type(data, fields):
    served = sheet(data()).served(SEED)
    assert set(served) == fields
    assert served["type"] == data()["type"]
    assert UUID(served["id"])
    assert json.loads(json.dumps(served)) == served


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_served_in_the_language_of_the_attempt(language):
    for data in ONE_OF_EACH:
        served = json.dumps(sheet(data(), language=language).served(SEED))
        assert set(re.findall(r"\[(..)\]", served)) == {language}
    single = sheet(single_choice(), language=language).served(SEED)
    assert single["prompt"] == f"Which one? [{language}]"
    assert sorted(by_text(single["options"])) == [f"Choice {key} [{language}]" for key in "abc"]


def test_gaps_are_served_by_their_markers_and_only_those_with_options_show_some():
    served = sheet(fill_gap()).served(SEED)
    assert served["text"] == "The {{1}} of it is {{2}}. [en]"
    assert [set(gap) for gap in served["gaps"]] == [{"id"}, {"id", "options"}]
    assert [gap["id"] for gap in served["gaps"]] == ["1", "2"]
    assert len(served["gaps"][1]["options"]) == 3


def test_right_sides_of_pairs_and_distractors_stand_together_and_look_alike():
    served = sheet(matching()).served(SEED)
    assert [each["text"] for each in served["left"]] == [f"Left {key} [en]" for key in "123"]
    assert sorted(by_text(served["right"])) == [f"Right {key} [en]" for key in "12345"]
    assert all(set(each) == {"id", "text"} for each in served["left"] + served["right"])
    assert len({len(each["id"]) for each in served["left"] + served["right"]}) == 1


SECRETS = re.compile(
    r"opt-|pair-|decoy-|q-|accepted|other \w\w|Because|correct|key|explanation|pairs|distractor"
)


@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_nothing_served_tells_a_key_a_verdict_an_explanation_or_an_accepted_answer(data):
    for language in LANGUAGES:
        for seed in range(20):
            served = json.dumps(sheet(data(), language=language).served(bytes([seed])))
            assert not SECRETS.search(served)


def test_what_is_served_does_not_depend_on_what_is_correct():
    expected = sheet(multiple_choice("abcd", "a")).served(SEED)
    for size in (1, 2, 3, 4):
        for right in map("".join, combinations("abcd", size)):
            assert sheet(multiple_choice("abcd", right)).served(SEED) == expected
    expected = sheet(single_choice("abcd", "a")).served(SEED)
    for right in "bcd":
        assert sheet(single_choice("abcd", right)).served(SEED) == expected


def test_the_order_in_which_the_author_wrote_options_leaves_no_trace():
    for data, field in ((single_choice(), "options"), (multiple_choice(), "options")):
        backwards = {**data, field: data[field][::-1]}
        assert sheet(backwards).served(SEED) == sheet(data).served(SEED)
    data, backwards = matching(), matching()
    backwards["distractors"].reverse()
    backwards["pairs"].reverse()
    assert sheet(backwards).served(SEED)["right"] == sheet(data).served(SEED)["right"]


# Ids


def test_ids_are_the_same_on_every_machine():
    served = sheet(single_choice()).served(SEED)
    assert served["id"] == str(question_id(SALT, "q-single"))
    assert served["id"] == "f99bc2d9-db14-5cab-880d-3cbff81c201e"
    assert by_text(served["options"]) == {
        "Choice a [en]": "7c0351226b83b30a",
        "Choice b [en]": "26d7be79858a938b",
        "Choice c [en]": "080766dcc4652999",
    }
    _, gap = sheet(fill_gap()).served(SEED)["gaps"]
    assert by_text(gap["options"])["Choice x [en]"] == "9eb8a787626f9a29"
    pairs = sheet(matching()).served(SEED)
    assert by_text(pairs["left"])["Left 1 [en]"] == "4a6594a24f33046c"
    assert by_text(pairs["right"])["Right 1 [en]"] == "fa712ae091898ba4"


@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_ids_are_the_same_in_every_language_attempt_and_version(data):
    edited = data(explanation={}, prompt=words("Another prompt"))
    if data is fill_gap:
        edited = data(explanation={}, text=words("{{2}} and {{1}}"))
    expected = sheet(data()).served(SEED)
    for language in LANGUAGES:
        for seed in (b"1", b"2"):
            served = sheet(edited, language=language).served(seed)
            assert served["id"] == expected["id"]
            assert [set(each) for each in ids(served)] == [set(each) for each in ids(expected)]


@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_ids_of_another_quiz_or_question_are_others(data):
    mine, other = sheet(data()).served(SEED), sheet(data(), salt=b"other").served(SEED)
    renamed = sheet(data(key="renamed")).served(SEED)
    assert len({mine["id"], other["id"], renamed["id"]}) == 3
    for one in ids(mine):
        for another in (*ids(other), *ids(renamed)):
            assert not set(one) & set(another)


def test_left_and_right_never_share_an_id():
    for salt in range(200):
        served = sheet(matching(), salt=bytes([salt])).served(SEED)
        every = [each["id"] for each in served["left"] + served["right"]]
        assert len(set(every)) == len(every) == 8


def test_the_same_option_key_in_two_gaps_has_two_ids():
    gap = fill_gap()["gaps"][1]
    data = fill_gap(text=words("{{1}} {{2}}"), gaps=[{**gap, "key": "1"}, {**gap, "key": "2"}])
    first, second = ids(sheet(data).served(SEED))
    assert not set(first) & set(second)


def test_keys_cannot_be_arranged_so_that_two_ids_meet():
    """Joined without a separator, the keys of these gaps and options would be the same text."""
    letters = words("x")
    data = fill_gap(
        text=words("{{a}} {{ab}} {{a/b}}"),
        gaps=[
            {"key": gap, "options": [{"key": key, "text": letters, "correct": True}]}
            for gap, key in (("a", "bc"), ("ab", "c"), ("a/b", "c"))
        ],
    )
    assert len({one for (one,) in ids(sheet(data).served(SEED))}) == 3


def test_question_ids_are_uuids_of_a_known_version():
    made = question_id(SALT, "q1")
    assert made == question_id(SALT, "q1") == UUID(str(made))
    assert made.variant == "specified in RFC 4122"
    assert made.version in range(1, 9)
    assert len({question_id(SALT, f"q{index}") for index in range(1000)}) == 1000


# Order


def orders(data, salt=SALT, seeds=2400):
    asked = sheet(data, salt=salt)
    names = {
        each["id"]: each["text"].split()[1]
        for each in [*asked.served(b"").get("options", []), *asked.served(b"").get("right", [])]
    }
    for seed in range(seeds):
        served = asked.served(seed.to_bytes(4, "big"))
        yield "".join(names[each["id"]] for each in served.get("options") or served["right"])


def chi_square(counts, cells):
    expected = sum(counts.values()) / cells
    return sum((counts[cell] - expected) ** 2 for cell in counts) / expected + expected * (
        cells - len(counts)
    )


@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_the_order_is_a_function_of_the_seed(data):
    asked = sheet(data())
    served = [json.dumps(asked.served(bytes([seed]))) for seed in range(50)]
    assert served == [json.dumps(sheet(data()).served(bytes([seed]))) for seed in range(50)]
    assert len(set(served)) > 1


def test_the_order_is_the_same_on_every_machine():
    assert next(orders(single_choice("abcdef", "a"), seeds=1)) == "dcabfe"


# The critical values leave one in a thousand to chance, and the seeds are fixed.


@pytest.mark.parametrize(
    "data", [single_choice("abcd", "a"), multiple_choice("abcd", "ab"), matching("123", "4")]
)
def test_every_order_is_equally_likely(data):
    assert chi_square(Counter(orders(data)), 24) < 49.7  # 23 degrees of freedom


def test_the_correct_option_stands_anywhere_with_the_same_chance():
    for salt in (b"one quiz", b"another"):
        places = Counter(order.index("c") for order in orders(single_choice("abcd", "c"), salt))
        assert chi_square(places, 4) < 16.3  # 3 degrees of freedom


def test_the_correct_option_has_any_rank_among_the_ids_with_the_same_chance():
    ranks: Counter[int] = Counter()
    for salt in range(400):
        shown = by_text(
            sheet(single_choice("abcd", "a"), salt=bytes([salt % 256, salt // 256])).served(SEED)[
                "options"
            ]
        )
        ranks[sorted(shown.values()).index(shown["Choice a [en]"])] += 1
    assert chi_square(ranks, 4) < 16.3


def test_right_sides_do_not_follow_the_left():
    together = Counter(order.index("1") for order in orders(matching("123", "45")))
    assert chi_square(together, 5) < 18.5  # 4 degrees of freedom


def test_two_gaps_of_one_question_are_shuffled_independently():
    gap = fill_gap()["gaps"][1]
    asked = sheet(
        fill_gap(text=words("{{1}} {{2}}"), gaps=[{**gap, "key": "1"}, {**gap, "key": "2"}])
    )
    seen: Counter[str] = Counter()
    for seed in range(3600):
        served = asked.served(seed.to_bytes(4, "big"))
        seen["|".join("".join(o["text"][7] for o in gap["options"]) for gap in served["gaps"])] += 1
    assert chi_square(seen, 36) < 66.6  # 35 degrees of freedom


# Reading answers


def body_of(data, picks):
    """An answer body from what a learner sees."""
    served = sheet(data).served(SEED)
    if data["type"] == "single_choice":
        return {"option": by_text(served["options"])[f"Choice {picks} [en]"]}
    if data["type"] == "multiple_choice":
        return {"options": [by_text(served["options"])[f"Choice {pick} [en]"] for pick in picks]}
    if data["type"] == "matching":
        left, right = by_text(served["left"]), by_text(served["right"])
        return {
            "pairs": {left[f"Left {a} [en]"]: right[f"Right {b} [en]"] for a, b in picks.items()}
        }
    shown = by_text(served["gaps"][1]["options"])
    return {
        "gaps": {
            key: shown[f"Choice {pick} [en]"] if key == "2" else pick for key, pick in picks.items()
        }
    }


@pytest.mark.parametrize(
    ("data", "picks", "answer"),
    [
        (single_choice(), "c", {"option": "opt-c"}),
        (multiple_choice(), "", {"options": []}),
        (multiple_choice(), "ca", {"options": ["opt-c", "opt-a"]}),
        (multiple_choice(), "cacca", {"options": ["opt-c", "opt-a"]}),
        (fill_gap(), {}, {"gaps": {}}),
        (fill_gap(), {"1": " As Typed "}, {"gaps": {"1": " As Typed "}}),
        (fill_gap(), {"1": "", "2": "x"}, {"gaps": {"1": "", "2": "opt-x"}}),
        (matching(), {}, {"pairs": {}}),
        (matching(), {"1": "2", "2": "2"}, {"pairs": {"pair-1": "pair-2", "pair-2": "pair-2"}}),
        (matching(), {"3": "5"}, {"pairs": {"pair-3": "decoy-5"}}),
    ],
)
def test_an_answer_names_keys_where_the_body_names_ids(data, picks, answer):
    assert sheet(data).read(body_of(data, picks)) == answer


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("data", ONE_OF_EACH)
def test_the_model_answer_written_out_is_a_body_that_is_right(data, language):
    asked = sheet(data(), language=language)
    model = correct_answer(asked.question, language)
    body = asked.written(model)
    assert asked.read(body) == model
    assert set(body) <= {"option", "options", "gaps", "pairs"}
    assert not re.search("opt-|pair-|decoy-", json.dumps(body))


BODIES = [
    (single_choice(), "b"),
    (multiple_choice(), "ab"),
    (fill_gap(), {"1": "typed", "2": "y"}),
    (matching(), {"1": "1", "2": "4", "3": "3"}),
]
WRONG_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    1.5,
    Decimal("1.5"),
    "",
    "x",
    [],
    {},
    [[]],
    [{}],
    {"a": {}},
    [None],
)


def is_allowed(steps, value):
    """Leaving open is no fault, and a typed gap takes any text."""
    return (
        (steps == ("options",) and value == [])
        or (steps in [("gaps",), ("pairs",)] and value == {})
        or (steps == ("gaps", "1") and isinstance(value, str))
        or (steps == ("gaps", "2") and value == "")
    )


@pytest.mark.parametrize(
    ("data", "picks", "steps"),
    [
        pytest.param(data, picks, steps, id=f"{data['type']}-{number}")
        for data, picks in BODIES
        for number, steps in enumerate(places(body_of(data, picks)))
    ],
)
def test_a_wrong_value_is_refused_at_every_place_of_a_body(data, picks, steps):
    body = body_of(data, picks)
    for value in WRONG_VALUES:
        wrong = changed(body, steps, value)
        if is_allowed(steps, value):
            sheet(data).read(wrong)
            continue
        found = faults(data, wrong)
        assert all(place.startswith(pointer(steps)) for place, _ in found), value
        if not isinstance(value, str | list | dict):
            assert found == [(pointer(steps), "wrong-type")]


@pytest.mark.parametrize(("data", "picks"), BODIES)
def test_a_missing_and_an_unknown_field_are_named(data, picks):
    body = body_of(data, picks)
    (field,) = body
    assert faults(data, {}) == [(f"/{field}", "required")]
    assert faults(data, {**body, "correct": True}) == [("/correct", "unknown-field")]
    assert faults(data, {field.upper(): body[field]}) == [
        (f"/{field.upper()}", "unknown-field"),
        (f"/{field}", "required"),
    ]
    assert faults(data, {**body, "a/b~c": 1}) == [("/a~1b~0c", "unknown-field")]


@pytest.mark.parametrize(("data", "picks"), BODIES)
def test_a_body_of_another_type_of_question_is_refused(data, picks):
    for other, others_picks in BODIES:
        if other["type"] != data["type"]:
            assert len(faults(data, body_of(other, others_picks))) == 2


def test_two_options_are_no_single_choice():
    body = body_of(single_choice(), "a")
    assert faults(single_choice(), {"option": [body["option"]] * 2}) == [("/option", "wrong-type")]
    assert faults(single_choice(), {"options": [body["option"]]})[1] == ("/option", "required")


def test_ids_are_taken_literally():
    given_id = body_of(single_choice(), "a")["option"]
    for bad in (given_id.upper() + "G", f" {given_id}", f"{given_id} ", given_id[:-1], "opt-a"):
        assert faults(single_choice(), {"option": bad}) == [("/option", "unknown-option")]


def test_keys_are_no_ids():
    assert faults(multiple_choice(), {"options": ["opt-a"]}) == [("/options/0", "unknown-option")]
    assert faults(fill_gap(), {"gaps": {"2": "opt-y"}}) == [("/gaps/2", "unknown-option")]
    assert faults(matching(), {"pairs": {"pair-1": "pair-1"}}) == [
        ("/pairs/pair-1", "unknown-left-side")
    ]


def test_the_first_bad_option_is_named_by_its_place():
    good = body_of(multiple_choice(), "ab")["options"]
    assert faults(multiple_choice(), {"options": [*good, "nope"]}) == [
        ("/options/2", "unknown-option")
    ]


def test_left_and_right_are_no_substitutes_for_each_other():
    served = sheet(matching()).served(SEED)
    left, right = served["left"][0]["id"], served["right"][0]["id"]
    assert faults(matching(), {"pairs": {right: right}}) == [
        (f"/pairs/{right}", "unknown-left-side")
    ]
    assert faults(matching(), {"pairs": {left: left}}) == [(f"/pairs/{left}", "unknown-right-side")]
    assert faults(matching(), {"pairs": {left: None}}) == [(f"/pairs/{left}", "wrong-type")]


def test_an_option_of_one_gap_is_none_of_another():
    gap = fill_gap()["gaps"][1]
    data = fill_gap(text=words("{{1}} {{2}}"), gaps=[{**gap, "key": "1"}, {**gap, "key": "2"}])
    first, second = ids(sheet(data).served(SEED))
    assert faults(data, {"gaps": {"1": second[0]}}) == [("/gaps/1", "unknown-option")]
    assert set(sheet(data).read({"gaps": {"1": first[0], "2": second[0]}})["gaps"]) == {"1", "2"}


def test_a_gap_that_is_not_there_is_named():
    assert faults(fill_gap(), {"gaps": {"3": "x"}}) == [("/gaps/3", "unknown-gap")]
    assert faults(fill_gap(), {"gaps": {"a/b": "x"}}) == [("/gaps/a~1b", "unknown-gap")]
    assert faults(fill_gap(), {"gaps": {"": "x"}}) == [("/gaps/", "unknown-gap")]


def test_a_refusal_tells_no_id_and_no_key():
    for data, picks in BODIES:
        with pytest.raises(AnswerRefused) as refused:
            sheet(data).read({next(iter(body_of(data, picks))): {"1": 1, "x": "y"}})
        known = [each for shown in ids(sheet(data).served(SEED)) for each in shown]
        assert not any(each in str(refused.value) for each in known)
        assert not re.search("opt-|pair-|decoy-|accepted|correct", str(refused.value))


def test_the_message_names_place_and_reason():
    with pytest.raises(AnswerRefused, match=r"^/option: .+"):
        sheet(single_choice()).read({"option": 1})
    with pytest.raises(AnswerRefused, match=r"^/: Expected an object"):
        sheet(single_choice()).read(None)


@pytest.mark.parametrize("character", ["x", "é", "🙂", "\u200b", " "], ids=ascii)
def test_a_typed_answer_has_at_most_1000_characters(character):
    assert sheet(fill_gap()).read({"gaps": {"1": character * 1000}}) == {
        "gaps": {"1": character * 1000}
    }
    assert faults(fill_gap(), {"gaps": {"1": character * 1001}}) == [("/gaps/1", "too-long")]


@pytest.mark.parametrize(
    "typed",
    [
        "0",
        "<b>Paris</b>",
        "%",
        "_",
        "'",
        "\\",
        "\\u0000",
        "C*",
        " x ",
        "\u200b",
        "an\u0303o",
        "null",
    ],
    ids=ascii,
)
def test_typed_text_is_kept_as_it_was_typed(typed):
    asked = sheet(typed_gap("x"))
    answer = asked.read({"gaps": {"1": typed}})
    assert answer == {"gaps": {"1": typed}}
    assert asked.written(answer) == {"gaps": {"1": typed}}


def test_typed_text_that_looks_like_an_id_stays_text():
    option_id = body_of(fill_gap(), {"2": "y"})["gaps"]["2"]
    asked = sheet(fill_gap())
    assert asked.read({"gaps": {"1": option_id}}) == {"gaps": {"1": option_id}}
    assert asked.read({"gaps": {"1": "opt-y"}}) == {"gaps": {"1": "opt-y"}}
    assert asked.written({"gaps": {"1": "opt-y"}}) == {"gaps": {"1": "opt-y"}}


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (multiple_choice(), {"options": []}),
        (fill_gap(), {"gaps": {}}),
        (fill_gap(), {"gaps": {"1": "x"}}),
        (fill_gap(), {"gaps": {"1": "", "2": ""}}),
        (fill_gap(), {**body_of(fill_gap(), {"1": "\u200b\u00ad \u2060", "2": "y"})}),
        (fill_gap(), {**body_of(fill_gap(), {"1": " \u00a0", "2": "y"})}),
        (matching(), {"pairs": {}}),
        (matching(), {**body_of(matching(), {"1": "1", "2": "2"})}),
    ],
)
def test_an_answer_that_leaves_something_open_is_read_and_counts_as_unanswered(data, body):
    asked = sheet(data)
    answer = asked.read(body)
    assert not is_answered(asked.question, answer, "en")
    assert not grade(asked.question, answer, "en").is_correct
    assert asked.written(answer) == body


# Any body at all


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
names = st.text() | st.sampled_from(["option", "options", "gaps", "pairs", "1", "2"])
SHEETS = [sheet(data) for data in (single_choice(), multiple_choice(), fill_gap(), matching())]
KNOWN_IDS = [each for one in SHEETS for shown in ids(one.served(SEED)) for each in shown]
anything = st.recursive(
    scalars | st.sampled_from(KNOWN_IDS),
    lambda inner: st.lists(inner) | st.dictionaries(names | st.sampled_from(KNOWN_IDS), inner),
    max_leaves=8,
)
fields = st.sampled_from(["option", "options", "gaps", "pairs"])


def likely(asked):
    """Bodies that are mostly good, from the ids that were served."""
    served = asked.served(SEED)
    shown = ids(served)
    match asked.question.type:
        case "single_choice":
            return st.fixed_dictionaries({"option": st.sampled_from(shown[0])})
        case "multiple_choice":
            return st.fixed_dictionaries({"options": st.lists(st.sampled_from(shown[0]))})
        case "fill_gap":
            texts = st.text(st.characters(), max_size=1000)
            gaps = {"1": texts, "2": st.sampled_from([*shown[0], ""])}
            return st.fixed_dictionaries({"gaps": st.fixed_dictionaries({}, optional=gaps)})
        case "matching":
            left, right = map(st.sampled_from, shown)
            return st.fixed_dictionaries({"pairs": st.dictionaries(left, right)})


def read_or_faults(asked, body):
    try:
        return asked.read(body), []
    except AnswerRefused as refused:
        return None, refused.faults


@settings(deadline=None)
@given(st.data(), st.sampled_from(SHEETS), st.sampled_from(LANGUAGES))
def test_whatever_is_read_is_written_back_and_graded(data, asked, language):
    asked = Sheet(asked.question, SALT, language)
    answer = asked.read(data.draw(likely(asked)))
    assert asked.read(asked.written(answer)) == answer
    earned = grade(asked.question, answer, language)
    assert 0 <= earned.score <= 1
    assert earned.is_correct is (earned.score == 1)
    assert not earned.is_correct or is_answered(asked.question, answer, language)


@settings(deadline=None)
@given(anything | st.dictionaries(fields, anything, min_size=1, max_size=1))
def test_any_other_body_is_read_or_refused_and_nothing_else(body):
    for asked in SHEETS:
        answer, found = read_or_faults(asked, body)
        assert all(fault["pointer"] == "" or fault["pointer"][0] == "/" for fault in found)
        if answer is not None:
            assert asked.read(asked.written(answer)) == answer
            assert 0 <= grade(asked.question, answer, "en").score <= 1


def test_a_body_of_any_depth_or_size_is_refused_quietly():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert faults(single_choice(), {"option": deep}) == [("/option", "wrong-type")]
    assert faults(multiple_choice(), {"options": deep}) == [("/options/0", "wrong-type")]
    assert faults(fill_gap(), {"gaps": {"1": deep}}) == [("/gaps/1", "wrong-type")]
    assert len(faults(matching(), {str(each): each for each in range(10_000)})) == 10_001
    once = body_of(multiple_choice(), "a")["options"]
    assert sheet(multiple_choice()).read({"options": once * 10_000}) == {"options": ["opt-a"]}
