import json
from copy import deepcopy
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quizzes.document import LANGUAGES, Document, DocumentRefused, SingleChoice, read_document
from quizzes.tests import (
    ONE_OF_EACH,
    at,
    changed,
    document,
    fill_gap,
    matching,
    multiple_choice,
    options,
    places,
    pointer,
    read,
    single_choice,
    typed_gap,
    words,
)

# The contract's own example, its dots and all.
EXAMPLE = json.loads("""
{"slug": "stock-basics", "feedback": "deferred", "title": {"en": "…", "tr": "…"}, "description": {"en": "…", "tr": "…"},
 "questions": [
  {"key": "q1", "type": "single_choice", "prompt": {"en": "…"}, "explanation": {"en": "…"},
   "options": [{"key": "a", "text": {"en": "…"}, "correct": true}, {"key": "b", "text": {"en": "…"}}]},
  {"key": "q2", "type": "fill_gap", "text": {"en": "A {{1}} pays {{2}}."},
   "gaps": [{"key": "1", "accepted": {"en": ["bond"], "tr": ["tahvil"]}},
            {"key": "2", "options": [{"key": "x", "text": {"en": "interest"}, "correct": true}]}]},
  {"key": "q3", "type": "matching", "prompt": {"en": "…"},
   "pairs": [{"key": "p1", "left": {"en": "…"}, "right": {"en": "…"}}], "distractors": [{"key": "d1", "text": {"en": "…"}}]}]}
""")  # noqa: E501


def without(data, steps):
    data = deepcopy(data)
    del at(data, steps[:-1])[steps[-1]]
    return data


def faults(data):
    with pytest.raises(DocumentRefused) as refused:
        read_document(data)
    assert refused.value.faults
    for fault in refused.value.faults:
        assert set(fault) == {"pointer", "code", "detail"}
        json.dumps(fault, ensure_ascii=False).encode()  # can be sent
    return refused.value.faults


def pointers(data):
    return [fault["pointer"] for fault in faults(data)]


def codes(data):
    return [(fault["pointer"], fault["code"]) for fault in faults(data)]


BILINGUAL = json.loads(
    json.dumps(document()),
    object_hook=lambda node: {k: v for k, v in node.items() if k not in ("es", "pt", "de")},
)
EVERYWHERE = list(places(BILINGUAL))
OBJECTS = [steps for steps in EVERYWHERE if isinstance(at(BILINGUAL, steps), dict)]
STRINGS = [steps for steps in EVERYWHERE if isinstance(at(BILINGUAL, steps), str)]
TEXTS = [steps for steps in OBJECTS if "en" in at(BILINGUAL, steps)]
FIELDS = [
    (*steps, name) for steps in OBJECTS if steps not in TEXTS for name in at(BILINGUAL, steps)
]
VALUES: tuple[Any, ...] = (None, True, 0, 1.5, "", "x", [], [[]], {}, {"a": {}})


# Reading


def test_a_document_with_every_type_of_question_is_read():
    quiz = read_document(document())
    assert [question.type for question in quiz.questions] == [
        "single_choice",
        "multiple_choice",
        "fill_gap",
        "matching",
    ]
    assert quiz.slug == "stock-basics"
    assert quiz.feedback == "immediate"
    assert quiz.question("q-gap") is quiz.questions[2]


def test_the_example_of_the_contract_is_read_and_complete_in_english_only():
    assert read_document(EXAMPLE).complete_languages() == ["en"]


def test_reading_leaves_the_data_alone():
    data = document()
    before = deepcopy(data)
    read_document(data)
    assert data == before


def test_a_document_written_out_reads_as_the_same():
    once = read()
    assert read_document(once.model_dump(mode="json")) == once
    assert read_document(json.loads(once.model_dump_json(exclude_defaults=True))) == once


def test_feedback_is_deferred_unless_said_otherwise():
    data = document()
    del data["feedback"]
    assert read_document(data).feedback == "deferred"


def test_an_option_is_wrong_unless_said_otherwise():
    choices = options("ab", "a")
    del choices[1]["correct"]
    (question,) = read(single_choice(options=choices)).questions
    assert isinstance(question, SingleChoice)
    assert [option.correct for option in question.options] == [True, False]


# What is refused, and where


@pytest.mark.parametrize("steps", FIELDS, ids=pointer)
def test_a_missing_field_is_named_unless_it_has_a_default(steps):
    data, parent = without(BILINGUAL, steps), pointer(steps[:-1])
    match steps[-1]:
        case "description" | "explanation" | "feedback" | "distractors":
            read_document(data)
        case "correct" if not at(BILINGUAL, steps) or steps[1] == 1:  # one of two right ones
            read_document(data)
        case "correct":
            assert codes(data) == [(pointer(steps[:-3]), "correct-options")]
        case "accepted" | "options" if "gaps" in steps:
            assert codes(data) == [(parent, "gap")]
        case name:
            assert pointers(data) == [f"{parent}/{name}"]


@pytest.mark.parametrize("steps", EVERYWHERE, ids=pointer)
def test_a_wrong_type_is_named_at_every_place(steps):
    right = at(BILINGUAL, steps)
    for value in VALUES:
        if type(value) is type(right):
            continue
        assert pointers(changed(BILINGUAL, steps, value)) == [pointer(steps)], value


@pytest.mark.parametrize("steps", OBJECTS, ids=pointer)
def test_an_unknown_field_or_language_is_named_at_every_place(steps):
    value = next(iter(at(BILINGUAL, steps).values()))
    for name in ("unknown", "fr", "EN", "en-US", "", "single_choice", "[key]", "/questions"):
        place = (*steps, name)
        expected = pointer((*steps, name.replace("/", "~1")))
        assert pointers(changed(BILINGUAL, place, value)) == [expected]


def test_a_name_with_slashes_and_tildes_is_escaped_in_the_pointer():
    assert pointers(document(**{"a/b~c": 1})) == ["/a~1b~0c"]


@pytest.mark.parametrize("steps", STRINGS, ids=pointer)
def test_nul_and_lone_surrogates_are_refused_at_every_place(steps):
    for bad in ("\x00", "a\x00b", "\ud800", "a\udfff", "\ude00\ud83d"):
        assert pointers(changed(BILINGUAL, steps, bad)) == [pointer(steps)], ascii(bad)


@pytest.mark.parametrize("steps", OBJECTS, ids=pointer)
def test_a_name_that_is_no_name_is_refused_at_every_place(steps):
    for bad in ("\x00", "\ud800", 1, None, (1, 2), b"slug"):
        found = pointers(changed(BILINGUAL, (*steps, bad), 1))
        assert all(place.startswith(pointer(steps)) for place in found), ascii(bad)


@pytest.mark.parametrize(
    "data",
    [None, True, 0, 1.5, "", "{}", b"{}", [], [document()], (), set(), object(), float("nan")],
    ids=repr,
)
def test_only_an_object_is_a_document(data):
    assert pointers(data) == [""]


def test_an_empty_object_lacks_everything_that_is_required():
    assert codes({}) == [
        ("/slug", "missing"),
        ("/title", "missing"),
        ("/questions", "missing"),
    ]


@pytest.mark.parametrize("bad", [None, "", "essay", "SINGLE_CHOICE", 1, [], {}, "x" * 10**6])
def test_an_unknown_type_of_question_is_named_with_the_known_ones(bad):
    (fault,) = faults(document(single_choice(type=bad)))
    assert (fault["pointer"], fault["code"]) == ("/questions/0/type", "question-type")
    assert "one of single_choice, multiple_choice, fill_gap, matching" in fault["detail"]
    assert len(fault["detail"]) < 200


def test_a_question_without_type_is_told_so_at_its_type():
    question = single_choice()
    del question["type"]
    assert pointers(document(question)) == ["/questions/0/type"]


def test_all_faults_are_told_at_once():
    bad = single_choice(prompt=1, options=[])
    assert pointers(document(bad, {**matching(), "key": ""}, slug="ä", wrong=1)) == [
        "/slug",
        "/questions/0/prompt",
        "/questions/0/options",
        "/questions/1/key",
        "/wrong",
    ]


def test_the_message_names_place_and_reason():
    with pytest.raises(DocumentRefused, match=r"^/slug: .+; /title: Field required"):
        read_document(without(document(slug=""), ("title",)))
    with pytest.raises(DocumentRefused, match=r"^/: "):
        read_document(None)


def test_input_of_any_depth_is_refused_quietly():
    deep_list: list[Any] = []
    deep_object: dict[str, Any] = {}
    for _ in range(100_000):
        deep_list, deep_object = [deep_list], {"en": deep_object}
    for deep in (deep_list, deep_object):
        for field in ("slug", "feedback", "title", "questions", "unknown"):
            assert pointers(document(**{field: deep}))
        assert pointers(document(single_choice(options=deep)))


def test_input_of_any_size_is_refused_with_every_place():
    assert len(pointers(document(**{f"x{index}": index for index in range(10_000)}))) == 10_000
    assert pointers(document(slug=10**5000)) == ["/slug"]
    assert pointers(document(slug="x" * 10**6)) == ["/slug"]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def read_or_faults(data):
    try:
        return read_document(data), []
    except DocumentRefused as refused:
        return None, refused.faults


@settings(deadline=None)
@given(st.sampled_from(EVERYWHERE), values)
def test_no_value_at_any_place_breaks_reading(steps, value):
    read, faults = read_or_faults(changed(BILINGUAL, steps, value))
    assert isinstance(read, Document) or faults
    place = pointer(steps)
    for found in (fault["pointer"] for fault in faults):
        assert found.startswith(place) or place.startswith(found)


# Names and limits


@pytest.mark.parametrize("slug", ["a", "stock-basics", "A_1", "0", "-", "x" * 100])
def test_a_slug_is_letters_digits_dashes_and_underscores(slug):
    assert read(slug=slug).slug == slug


@pytest.mark.parametrize("slug", ["", "x" * 101, "a b", "a/b", "ä", "a\n", "\na", "a.b", "１", "ı"])
def test_anything_else_is_no_slug(slug):
    assert pointers(document(slug=slug)) == ["/slug"]


KEYED = [steps[:-1] for steps in STRINGS if steps[-1] == "key"]


@pytest.mark.parametrize("steps", KEYED, ids=pointer)
def test_a_key_is_any_text_without_spaces_braces_and_control_characters(steps):
    for key in ("a", "7", "ä", "日本", "🙂", "a/b~c.d", "x" * 100, "q-x", "true", "null", "$"):
        read_document(changed(BILINGUAL, (*steps, "key"), key))
    for key in ("", "x" * 101, "a b", " a", "a\n", "{", "}", "a\x1fb", "\x7f", "\u00a0", "\u2028"):
        assert pointers(changed(BILINGUAL, (*steps, "key"), key)) == [pointer((*steps, "key"))]


@pytest.mark.parametrize("steps", TEXTS, ids=pointer)
def test_texts_and_accepted_answers_have_a_longest_form(steps):
    is_accepted = steps[-1] == "accepted"
    longest = 1000 if is_accepted else 5000
    fits, too_long = "🙂" * longest, "🙂" * (longest + 1)
    if is_accepted:
        read_document(changed(BILINGUAL, (*steps, "en"), [fits] * 100))
        place = (*steps, "en")
        assert pointers(changed(BILINGUAL, place, [too_long])) == [pointer((*place, 0))]
        assert pointers(changed(BILINGUAL, place, ["x"] * 101)) == [pointer(place)]
    else:
        read_document(changed(BILINGUAL, (*steps, "en"), fits))
        assert pointers(changed(BILINGUAL, (*steps, "en"), too_long)) == [pointer((*steps, "en"))]


def many(nodes, count):
    return [{**nodes[0], "key": f"k{index}", "correct": index == 0} for index in range(count)]


@pytest.mark.parametrize(
    ("build", "place", "fewest", "most"),
    [
        (lambda n: document(single_choice(options=many(options("a", "a"), n))), "options", 2, 50),
        (lambda n: document(multiple_choice(options=many(options("a", "a"), n))), "options", 2, 50),
        (
            lambda n: document(
                fill_gap(gaps=[{"key": f"{i}", "accepted": {"en": ["x"]}} for i in range(n)])
            ),
            "gaps",
            1,
            50,
        ),
        (
            lambda n: document(
                fill_gap(gaps=[{"key": "1", "options": many(options("a", "a"), n)}])
            ),
            "gaps/0/options",
            1,
            50,
        ),
        (lambda n: document(matching([f"{i}" for i in range(n)], "")), "pairs", 1, 50),
        (lambda n: document(matching("12", [f"{i}" for i in range(n)])), "distractors", 0, 50),
    ],
    ids=["single", "multiple", "gaps", "gap-options", "pairs", "distractors"],
)
def test_lists_have_a_shortest_and_a_longest_form(build, place, fewest, most):
    for count in (fewest, most):
        read_document(build(count))
    assert pointers(build(most + 1)) == [f"/questions/0/{place}"]
    if fewest > 1:
        assert pointers(build(fewest - 1)) == [f"/questions/0/{place}"]
    if fewest == 1:
        assert pointers(build(0))


def test_a_quiz_has_1_to_200_questions():
    read(*[single_choice(key=f"q{index}") for index in range(200)])
    assert pointers(document(*[single_choice(key=f"q{i}") for i in range(201)])) == ["/questions"]
    assert pointers(document(questions=[])) == ["/questions"]


# Keys, correct options, gaps


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (document(single_choice(key="q"), matching(key="q")), ""),
        (document(single_choice("aba", "b")), "/questions/0"),
        (document(single_choice("abb", "a")), "/questions/0"),
        (document(multiple_choice("aab", "b")), "/questions/0"),
        (document(fill_gap(gaps=[fill_gap()["gaps"][0]] * 2)), "/questions/0"),
        (
            document(fill_gap(gaps=[{"key": "1", "options": options("xyx", "y")}])),
            "/questions/0/gaps/0",
        ),
        (document(matching("11", "")), "/questions/0"),
        (document(matching("12", "33")), "/questions/0"),
        (
            document({**matching(), "distractors": [{"key": "pair-1", "text": words("Right 1")}]}),
            "/questions/0",
        ),
    ],
)
def test_a_key_stands_once(data, place):
    (fault,) = faults(data)
    assert (fault["pointer"], fault["code"]) == (place, "duplicate-key")


def test_a_repeated_key_is_named():
    (fault,) = faults(document(single_choice("abab", "a")))
    assert "opt-a, opt-b" in fault["detail"]


def test_keys_may_repeat_where_they_name_different_things():
    gaps = [
        {"key": key, "options": [{**option, "key": key} for option in options("x", "x")]}
        for key in ("1", "2")
    ]
    read(fill_gap(gaps=gaps), single_choice(key="1", options=options("ab", "a")))


@pytest.mark.parametrize("right", ["", "ab", "abc"])
def test_a_single_choice_has_exactly_one_correct_option(right):
    assert codes(document(single_choice("abc", right))) == [("/questions/0", "correct-options")]
    gap = {"key": "1", "options": options("abc", right)}
    assert codes(document(fill_gap(gaps=[gap]))) == [("/questions/0/gaps/0", "correct-options")]


def test_a_multiple_choice_has_at_least_one_correct_option():
    assert codes(document(multiple_choice("abc", ""))) == [("/questions/0", "correct-options")]
    for right in ("a", "ab", "abc"):
        read(multiple_choice("abc", right))


@pytest.mark.parametrize("correct", [None, 0, 1, 1.0, "true", [], {}])
def test_correct_is_true_or_false_and_nothing_like_it(correct):
    data = changed(document(), ("questions", 0, "options", 1, "correct"), correct)
    assert pointers(data) == ["/questions/0/options/1/correct"]


@pytest.mark.parametrize(
    "gap",
    [
        {},
        {"accepted": {}},
        {"options": []},
        {"accepted": {}, "options": []},
        {"accepted": {"en": ["x"]}, "options": options("xy", "x")},
    ],
)
def test_a_gap_is_typed_or_picked_and_never_both(gap):
    assert codes(document(fill_gap(gaps=[{"key": "1", **gap}]))) == [("/questions/0/gaps/0", "gap")]


@pytest.mark.parametrize(
    "blank", ["", " ", "\u00a0", "\u200b", "\u00ad\ufeff", "\u200e"], ids=ascii
)
def test_an_accepted_answer_is_never_blank(blank):
    gap = {"key": "1", "accepted": {"en": ["x"], "de": ["x", blank]}}
    assert codes(document(fill_gap(gaps=[gap]))) == [
        ("/questions/0/gaps/0/accepted/de/1", "blank-answer")
    ]


def test_zero_is_an_accepted_answer():
    assert read(typed_gap("0"), description={}, title={"en": "x"}).complete_languages() == ["en"]


# Completeness, language by language


def test_a_complete_document_offers_its_languages_as_en_es_pt_de_tr():
    assert read().complete_languages() == ["en", "es", "pt", "de", "tr"]
    assert all(read().problems(language) == [] for language in LANGUAGES)


@pytest.mark.parametrize(
    "offered",
    [offered for size in range(6) for offered in combinations(LANGUAGES, size)],
    ids="-".join,
)
def test_complete_languages_keep_their_order_however_the_document_names_them(offered):
    data = document(title=dict.fromkeys(reversed(offered), "x"))
    assert read_document(data).complete_languages() == list(offered)


COMPLETE = document()
COMPLETE_TEXTS = [
    steps
    for steps in places(COMPLETE)
    if isinstance(at(COMPLETE, steps), dict) and "en" in at(COMPLETE, steps)
]


@pytest.mark.parametrize("steps", COMPLETE_TEXTS, ids=pointer)
def test_a_language_that_lacks_any_text_is_not_offered_and_the_others_are(steps):
    is_accepted = steps[-1] == "accepted"
    why = "no accepted answer" if is_accepted else "missing"
    for language in LANGUAGES:
        place = (*steps, language)
        lacking = [without(COMPLETE, place)]
        if is_accepted:
            lacking.append(changed(COMPLETE, place, []))
        else:
            lacking += [changed(COMPLETE, place, blank) for blank in ("", " \n", "\u200b\u00ad")]
        for data in lacking:
            quiz = read_document(data)
            assert quiz.problems(language) == [f"{pointer(steps)}: {why}"]
            assert quiz.complete_languages() == [each for each in LANGUAGES if each != language]


@pytest.mark.parametrize("steps", COMPLETE_TEXTS, ids=pointer)
def test_explanations_and_descriptions_may_be_absent_everywhere_and_other_texts_may_not(steps):
    is_optional = steps[-1] in ("explanation", "description")
    blank = dict.fromkeys(LANGUAGES, [] if steps[-1] == "accepted" else " ")
    for value in ({}, blank):
        data = changed(COMPLETE, steps, value)
        if steps[-1] == "accepted" and not value:
            assert pointers(data) == [pointer(steps[:-1])]
            continue
        assert read_document(data).complete_languages() == (list(LANGUAGES) if is_optional else [])


@pytest.mark.parametrize("question", ONE_OF_EACH)
def test_an_explanation_in_one_language_is_demanded_of_all_others(question):
    quiz = read(question(explanation={"tr": "Çünkü"}))
    assert quiz.complete_languages() == ["tr"]
    assert quiz.problems("en") == ["/questions/0/explanation: missing"]


def test_the_explanation_of_one_question_demands_none_of_another():
    quiz = read(single_choice(explanation={}), multiple_choice())
    assert quiz.complete_languages() == list(LANGUAGES)


def test_a_description_in_one_language_is_demanded_of_all_others():
    quiz = read(description={"de": "Wozu"})
    assert quiz.complete_languages() == ["de"]
    assert quiz.problems("tr") == ["/description: missing"]


def test_every_problem_of_a_language_is_told():
    assert read(title={"en": "x"}, description={"en": "x"}).problems("de") == [
        "/title: missing",
        "/description: missing",
    ]
    assert read(typed_gap("x")).problems("de") == [
        "/questions/0/text: missing",
        "/questions/0/gaps/0/accepted: no accepted answer",
    ]


@pytest.mark.parametrize(
    ("text", "is_complete"),
    [
        ("{{1}} {{2}}", True),
        ("{{2}} {{1}}", True),
        ("{{2}}{{1}}", True),
        ("{ {{1}} } {{{2}}}", True),
        ("{{1}}", False),
        ("{{2}}", False),
        ("{{1}} {{1}} {{2}}", False),
        ("{{1}} {{2}} {{3}}", False),
        ("{{1}} {{2}} {{}}", False),
        ("{{1}} {{ 2 }}", False),
        ("{{1}} {2}", False),
        ("{{1}} {{２}}", False),
        ("no gap at all", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_marks_each_of_its_gaps_once_in_every_language(text, is_complete, language):
    quiz = read(fill_gap(text={**words("{{1}} {{2}}"), language: text}))
    assert len(quiz.problems(language)) == (0 if is_complete else 1)
    assert all(found.startswith("/questions/0/text: ") for found in quiz.problems(language))
    others = [each for each in LANGUAGES if each != language]
    assert [each for each in quiz.complete_languages() if each != language] == others


def test_braces_elsewhere_are_just_text():
    marked = words("{{1}} {{unknown}}")
    assert read(single_choice(prompt=marked, explanation=marked), title=marked).problems("en") == []
