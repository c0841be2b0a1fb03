"""PUT /attempts/{id}/answers/{question_id}/: what may be answered, and when it is final."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from quizzes.models import Attempt
from quizzes.tests import (
    ONE_OF_EACH,
    fill_gap,
    matching,
    multiple_choice,
    options,
    single_choice,
    typed_gap,
)
from quizzes.tests.factories import (
    Json,
    answer,
    complete,
    fill_in,
    id_of,
    pairs,
    publish,
    right,
    start,
    wrong,
)

pytestmark = pytest.mark.django_db

UNKNOWN = "0123456789abcdef"


def only_question(client: APIClient, question: Json, **changes: Any) -> tuple[Json, Json]:
    publish(question, **changes)
    attempt = start(client)
    return attempt, attempt["questions"][0]


def stored(client: APIClient, attempt: Json) -> Json:
    return dict(client.get(f"/api/v1/attempts/{attempt['id']}/").json()["answers"])


def faults(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    return [(each["pointer"], each["code"]) for each in response.json()["errors"]]


@pytest.mark.parametrize("question", [each() for each in ONE_OF_EACH], ids=lambda q: q["type"])
def test_a_whole_answer_is_stored_as_it_came(alice: APIClient, question: Json) -> None:
    attempt, served = only_question(alice, question)
    for body in (right(served), wrong(served)):
        response = answer(alice, attempt, served, body)
        assert response.status_code == 200
        assert response.json() == {"question": served["id"], "answer": body}
        assert stored(alice, attempt) == {served["id"]: body}


def test_the_last_answer_counts(alice: APIClient) -> None:
    attempt, served = only_question(alice, single_choice())
    answer(alice, attempt, served, right(served))
    answer(alice, attempt, served, wrong(served))
    assert complete(alice, attempt).json()["correct"] == 0


def test_answering_one_question_leaves_the_others_alone(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    first, *others = attempt["questions"]
    answer(alice, attempt, first, wrong(first))
    seen = stored(alice, attempt)
    assert seen == {first["id"]: wrong(first), **{each["id"]: right(each) for each in others}}


def test_options_are_a_set(alice: APIClient) -> None:
    attempt, served = only_question(alice, multiple_choice())
    one, other = right(served)["options"]
    response = answer(alice, attempt, served, {"options": [other, one, other, one, one]})
    assert response.json()["answer"] == {"options": [other, one]}
    assert complete(alice, attempt).json()["questions"][0]["is_correct"] is True


def test_ten_thousand_times_the_same_option_are_one(alice: APIClient) -> None:
    attempt, served = only_question(alice, multiple_choice())
    one = right(served)["options"][0]
    response = answer(alice, attempt, served, {"options": [one] * 10_000})
    assert response.json()["answer"] == {"options": [one]}


def test_one_right_side_may_be_chosen_twice(alice: APIClient) -> None:
    attempt, served = only_question(alice, matching())
    body = {"pairs": pairs(served, "111")}
    assert answer(alice, attempt, served, body).status_code == 200
    [graded] = complete(alice, attempt).json()["questions"]
    assert (graded["is_correct"], graded["score"]) == (False, 0.3333)


def test_a_distractor_may_be_chosen(alice: APIClient) -> None:
    attempt, served = only_question(alice, matching())
    assert answer(alice, attempt, served, {"pairs": pairs(served, "125")}).status_code == 200


@pytest.mark.parametrize(
    "typed",
    ["0", "İzmir", "<b>Paris</b>", "%_'\\", "C*", "½", "a\nb", "a\u202eb", "x" * 1000, "\\"],
)
def test_typed_text_is_kept_to_the_letter(alice: APIClient, typed: str) -> None:
    attempt, served = only_question(alice, typed_gap("answer"))
    answer(alice, attempt, served, {"gaps": {"1": typed}})
    assert stored(alice, attempt) == {served["id"]: {"gaps": {"1": typed}}}
    assert complete(alice, attempt).json()["questions"][0]["answer"] == {"gaps": {"1": typed}}


# What leaves something open


@pytest.mark.parametrize(
    ("question", "body"),
    [
        (multiple_choice(), {"options": []}),
        (fill_gap(), {"gaps": {}}),
        (fill_gap(), {"gaps": {"1": "accepted en"}}),
        (fill_gap(), {"gaps": {"1": "accepted en", "2": ""}}),
        (typed_gap("answer"), {"gaps": {"1": ""}}),
        (typed_gap("answer"), {"gaps": {"1": " \t\u00a0\u200b\u00ad"}}),
        (matching(), {"pairs": {}}),
    ],
    ids=lambda each: json.dumps(each.get("type", each)),
)
@pytest.mark.parametrize("feedback", ["deferred", "immediate"])
def test_an_answer_that_leaves_something_open_is_stored_and_counts_as_unanswered(
    alice: APIClient, question: Json, body: Json, feedback: str
) -> None:
    attempt, served = only_question(alice, question, feedback=feedback)
    response = answer(alice, attempt, served, body)
    assert response.status_code == 200
    assert response.json() == {"question": served["id"], "answer": body}
    assert stored(alice, attempt) == {served["id"]: body}
    refused = complete(alice, attempt)
    assert refused.status_code == 409
    assert refused.json()["questions"] == [served["id"]]


@pytest.mark.parametrize("feedback", ["deferred", "immediate"])
def test_a_match_that_is_missing_leaves_the_question_open(alice: APIClient, feedback: str) -> None:
    attempt, served = only_question(alice, matching(), feedback=feedback)
    body = right(served)
    body["pairs"].popitem()
    assert answer(alice, attempt, served, body).json() == {"question": served["id"], "answer": body}
    assert complete(alice, attempt).status_code == 409


def test_an_answer_can_be_taken_back(alice: APIClient) -> None:
    attempt, served = only_question(alice, multiple_choice())
    answer(alice, attempt, served, right(served))
    answer(alice, attempt, served, {"options": []})
    assert complete(alice, attempt).status_code == 409


# What is refused


def bad_bodies(kind: str, served: Json) -> list[tuple[Any, list[tuple[str, str]] | None]]:
    """Bodies for the question and the places that are wrong with them."""
    match kind:
        case "single_choice":
            field, good = "option", right(served)["option"]
            own: list[tuple[Any, list[tuple[str, str]] | None]] = [
                ({"option": UNKNOWN}, [("/option", "unknown-option")]),
                ({"option": ""}, [("/option", "unknown-option")]),
                ({"option": f" {good}"}, [("/option", "unknown-option")]),
                ({"option": good.upper() + "X"}, [("/option", "unknown-option")]),
                ({"option": "opt-b"}, [("/option", "unknown-option")]),
                ({"option": served["id"]}, [("/option", "unknown-option")]),
                ({"option": [good]}, [("/option", "wrong-type")]),
                ({"option": [good, good]}, [("/option", "wrong-type")]),
                ({"options": [good]}, [("/options", "unknown-field"), ("/option", "required")]),
            ]
        case "multiple_choice":
            field, good = "options", right(served)["options"]
            own = [
                ({"options": [*good, UNKNOWN]}, [("/options/2", "unknown-option")]),
                ({"options": ["opt-a"]}, [("/options/0", "unknown-option")]),
                ({"options": [good]}, [("/options/0", "wrong-type")]),
                ({"options": [None]}, [("/options/0", "wrong-type")]),
                ({"options": [True]}, [("/options/0", "wrong-type")]),
                ({"options": [1, good[0]]}, [("/options/0", "wrong-type")]),
                ({"options": good[0]}, [("/options", "wrong-type")]),
                ({"options": dict.fromkeys(good, "")}, [("/options", "wrong-type")]),
                ({"option": good[0]}, [("/option", "unknown-field"), ("/options", "required")]),
            ]
        case "fill_gap":
            field, good = "gaps", right(served)["gaps"]
            own = [
                ({"gaps": {**good, "3": "x"}}, [("/gaps/3", "unknown-gap")]),
                ({"gaps": {"{{1}}": "x"}}, [("/gaps/{{1}}", "unknown-gap")]),
                ({"gaps": {"a/b~": "x"}}, [("/gaps/a~1b~0", "unknown-gap")]),
                ({"gaps": {"": "x"}}, [("/gaps/", "unknown-gap")]),
                ({"gaps": {"1": 1}}, [("/gaps/1", "wrong-type")]),
                ({"gaps": {"1": None}}, [("/gaps/1", "wrong-type")]),
                ({"gaps": {"1": ["a"]}}, [("/gaps/1", "wrong-type")]),
                ({"gaps": {"1": "x" * 1001}}, [("/gaps/1", "too-long")]),
                ({"gaps": {"2": "Choice y"}}, [("/gaps/2", "unknown-option")]),
                ({"gaps": {"2": "opt-y"}}, [("/gaps/2", "unknown-option")]),
                ({"gaps": {"2": "x" * 1001}}, [("/gaps/2", "unknown-option")]),
                ({"gaps": list(good.values())}, [("/gaps", "wrong-type")]),
                ({"gaps": "accepted en"}, [("/gaps", "wrong-type")]),
            ]
        case _:
            field, good = "pairs", right(served)["pairs"]
            (left, right_side), *_ = good.items()
            own = [
                ({"pairs": {UNKNOWN: right_side}}, [(f"/pairs/{UNKNOWN}", "unknown-left-side")]),
                ({"pairs": {left: UNKNOWN}}, [(f"/pairs/{left}", "unknown-right-side")]),
                ({"pairs": {left: left}}, [(f"/pairs/{left}", "unknown-right-side")]),
                (
                    {"pairs": {right_side: left}},
                    [(f"/pairs/{right_side}", "unknown-left-side")],
                ),
                ({"pairs": {left: ""}}, [(f"/pairs/{left}", "unknown-right-side")]),
                ({"pairs": {left: None}}, [(f"/pairs/{left}", "wrong-type")]),
                ({"pairs": {left: [right_side]}}, [(f"/pairs/{left}", "wrong-type")]),
                ({"pairs": [[left, right_side]]}, [("/pairs", "wrong-type")]),
                ({"pairs": "x"}, [("/pairs", "wrong-type")]),
            ]
    return [
        *own,
        ({}, [(f"/{field}", "required")]),
        ({field: good, "x": 1}, [("/x", "unknown-field")]),
        ({field: good, "user_id": "5"}, [("/user_id", "unknown-field")]),
        ({field: None}, [(f"/{field}", "wrong-type")]),
        ({field: True}, [(f"/{field}", "wrong-type")]),
        ({field: 1}, [(f"/{field}", "wrong-type")]),
        ({field: 1.5}, [(f"/{field}", "wrong-type")]),
        ([], [("", "wrong-type")]),
        ([{field: good}], [("", "wrong-type")]),
        (good, None),
        ("x", [("", "wrong-type")]),
        (1, [("", "wrong-type")]),
        (True, [("", "wrong-type")]),
        (None, None),
    ]


@pytest.mark.parametrize("question", [each() for each in ONE_OF_EACH], ids=lambda q: q["type"])
def test_a_wrong_body_is_400_names_its_places_and_writes_nothing(
    alice: APIClient, question: Json
) -> None:
    attempt, served = only_question(alice, question)
    for body, expected in bad_bodies(question["type"], served):
        response = answer(alice, attempt, served, body)
        found = faults(response)
        assert found, body
        assert expected is None or found == expected, body
    assert stored(alice, attempt) == {}


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ('{"gaps": {"1": "a\\u0000b"}}', "/gaps/1"),
        ('{"gaps": {"1": "\\ud800"}}', "/gaps/1"),
        ('{"gaps": {"1": "a", "1": "b"}}', "/gaps/1"),
        ('{"gaps": {"1": "a"}, "gaps": {}}', "/gaps"),
        ('{"gaps": {"1": 1e999999999}}', "/gaps/1"),
    ],
)
def test_what_no_text_can_hold_is_refused_by_its_place(
    alice: APIClient, text: str, pointer: str
) -> None:
    attempt, served = only_question(alice, typed_gap("answer"))
    assert pointer in [place for place, _ in faults(put_text(alice, attempt, served, text))]
    assert stored(alice, attempt) == {}


@pytest.mark.parametrize("text", ["{", "", "nul", '{"gaps": {"1": NaN}}', "\ufeff{}", "[" * 10_000])
def test_what_is_no_json_is_refused(alice: APIClient, text: str) -> None:
    attempt, served = only_question(alice, typed_gap("answer"))
    response = put_text(alice, attempt, served, text)
    assert response.status_code == 400
    assert stored(alice, attempt) == {}


def put_text(client: APIClient, attempt: Json, question: Json, text: str) -> Any:
    path = f"/api/v1/attempts/{attempt['id']}/answers/{question['id']}/"
    return client.put(path, text.encode(), content_type="application/json")


def test_another_media_type_is_415(alice: APIClient) -> None:
    attempt, served = only_question(alice, single_choice())
    path = f"/api/v1/attempts/{attempt['id']}/answers/{served['id']}/"
    response = alice.put(path, "option=1", content_type="application/x-www-form-urlencoded")
    assert response.status_code == 415


def test_the_slash_at_the_end_is_not_needed(alice: APIClient) -> None:
    attempt, served = only_question(alice, single_choice())
    path = f"/api/v1/attempts/{attempt['id']}/answers/{served['id']}"
    assert alice.put(path, right(served), format="json").status_code == 200


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_an_answer_can_only_be_put(alice: APIClient, method: str) -> None:
    attempt, served = only_question(alice, single_choice())
    path = f"/api/v1/attempts/{attempt['id']}/answers/{served['id']}/"
    assert getattr(alice, method)(path).status_code == 405


def test_a_question_of_another_quiz_or_of_none_is_404(alice: APIClient) -> None:
    attempt, served = only_question(alice, single_choice())
    publish(single_choice(), slug="bonds")
    other = start(alice, "bonds")["questions"][0]
    nobodys = {"id": "00000000-0000-5000-8000-000000000000"}
    responses = [answer(alice, attempt, each, right(served)) for each in (other, nobodys)]
    assert [response.status_code for response in responses] == [404, 404]
    assert stored(alice, attempt) == {}


def test_another_persons_attempt_is_404_and_stays_as_it_is(
    alice: APIClient, charlie: APIClient
) -> None:
    attempt, served = only_question(alice, single_choice())
    assert answer(charlie, attempt, served, right(served)).status_code == 404
    assert stored(alice, attempt) == {}


def test_an_answer_in_another_attempts_language_is_judged_in_its_own(alice: APIClient) -> None:
    publish(fill_gap())
    attempt = start(alice, language="es")
    [served] = attempt["questions"]
    english = {"gaps": {**right(served)["gaps"], "1": "accepted en"}}
    answer(alice, attempt, served, english)
    assert complete(alice, attempt).json()["correct"] == 0


# After completion


@pytest.mark.parametrize("feedback", ["deferred", "immediate"])
def test_after_completion_an_answer_is_409_and_changes_nothing(
    alice: APIClient, feedback: str
) -> None:
    attempt, served = only_question(alice, single_choice(), feedback=feedback)
    answer(alice, attempt, served, wrong(served))
    result = complete(alice, attempt).json()
    for body in (right(served), wrong(served)):
        response = answer(alice, attempt, served, body)
        assert response.status_code == 409
        assert response.json()["type"] == "urn:problem:attempt-completed"
    assert complete(alice, attempt).json() == result
    assert stored(alice, attempt) == {served["id"]: wrong(served)}


def test_after_completion_a_body_that_cannot_be_is_still_400(alice: APIClient) -> None:
    attempt, served = only_question(alice, single_choice())
    answer(alice, attempt, served, wrong(served))
    complete(alice, attempt)
    assert faults(answer(alice, attempt, served, {"option": UNKNOWN}))


# Immediate feedback


@pytest.mark.parametrize("question", [each() for each in ONE_OF_EACH], ids=lambda q: q["type"])
def test_with_immediate_feedback_a_whole_answer_is_told(alice: APIClient, question: Json) -> None:
    publish(question, feedback="immediate")
    for body_of, is_correct in ((right, True), (wrong, False)):
        attempt = start(alice)
        [served] = attempt["questions"]
        told = answer(alice, attempt, served, body_of(served)).json()
        score = told.pop("score")
        assert told == {
            "question": served["id"],
            "answer": body_of(served),
            "is_correct": is_correct,
            "correct_answer": right(served),
            "explanation": question["explanation"]["en"],
        }
        [graded] = complete(alice, attempt).json()["questions"]
        assert (graded["is_correct"], graded["score"]) == (is_correct, score)


@pytest.mark.parametrize("question", [each() for each in ONE_OF_EACH], ids=lambda q: q["type"])
def test_with_immediate_feedback_the_same_again_is_the_same_200(
    alice: APIClient, question: Json
) -> None:
    attempt, served = only_question(alice, question, feedback="immediate")
    first = answer(alice, attempt, served, wrong(served))
    again = answer(alice, attempt, served, wrong(served))
    assert first.status_code == again.status_code == 200
    assert first.content == again.content


def test_the_same_set_and_the_same_pairs_in_another_order_are_the_same(alice: APIClient) -> None:
    publish(multiple_choice(), matching(), fill_gap(), feedback="immediate")
    attempt = start(alice)
    for served in attempt["questions"]:
        body = right(served)
        first = answer(alice, attempt, served, body)
        again = answer(alice, attempt, served, backwards(body))
        assert again.status_code == 200
        assert again.content == first.content


def backwards(body: Json) -> Json:
    [(field, value)] = body.items()
    if isinstance(value, list):
        return {field: [*reversed(value), value[0]]}
    return {field: dict(reversed(value.items()))}


@pytest.mark.parametrize("question", [each() for each in ONE_OF_EACH], ids=lambda q: q["type"])
def test_with_immediate_feedback_another_answer_is_409(alice: APIClient, question: Json) -> None:
    attempt, served = only_question(alice, question, feedback="immediate")
    answer(alice, attempt, served, wrong(served))
    response = answer(alice, attempt, served, right(served))
    assert response.status_code == 409
    assert response.json()["type"] == "urn:problem:answer-final"
    assert stored(alice, attempt) == {served["id"]: wrong(served)}
    assert complete(alice, attempt).json()["correct"] == 0


def test_a_final_answer_cannot_be_made_incomplete_either(alice: APIClient) -> None:
    attempt, served = only_question(alice, multiple_choice(), feedback="immediate")
    answer(alice, attempt, served, wrong(served))
    assert answer(alice, attempt, served, {"options": []}).status_code == 409


def test_an_incomplete_answer_is_not_final_and_tells_nothing(alice: APIClient) -> None:
    attempt, served = only_question(alice, fill_gap(), feedback="immediate")
    part = {"gaps": {"1": right(served)["gaps"]["1"]}}
    for body in (part, {"gaps": {"1": "no"}}, part):
        assert set(answer(alice, attempt, served, body).json()) == {"question", "answer"}
    assert answer(alice, attempt, served, right(served)).json()["is_correct"] is True


def test_a_refused_body_neither_tells_nor_becomes_final(alice: APIClient) -> None:
    attempt, served = only_question(alice, single_choice(), feedback="immediate")
    assert faults(answer(alice, attempt, served, {"option": UNKNOWN}))
    assert answer(alice, attempt, served, right(served)).json()["is_correct"] is True


def test_nothing_is_told_of_the_questions_not_yet_answered(alice: APIClient) -> None:
    publish(feedback="immediate")
    attempt = start(alice)
    first = attempt["questions"][0]
    answer(alice, attempt, first, right(first))
    seen = alice.get(f"/api/v1/attempts/{attempt['id']}/")
    assert "Because" not in seen.content.decode()
    assert seen.json()["result"] is None


def test_a_partial_score_is_rounded_half_up(alice: APIClient) -> None:
    # 1 of 32 right sides is 0.03125, which Python would round to 0.0312.
    numbers = [str(number) for number in range(1, 33)]
    attempt, served = only_question(alice, matching(numbers, []), feedback="immediate")
    first = id_of("Right 1", served["right"])
    body = {"pairs": {left["id"]: first for left in served["left"]}}
    assert answer(alice, attempt, served, body).json()["score"] == 0.0313
    assert complete(alice, attempt).json()["score"] == 0.0313


def test_an_explanation_is_not_needed(alice: APIClient) -> None:
    question = single_choice(explanation={}, options=options("ab", "b"))
    attempt, served = only_question(alice, question, feedback="immediate")
    assert answer(alice, attempt, served, right(served)).json()["explanation"] == ""


def test_an_answer_is_one_row_with_its_attempt(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    kept = Attempt.objects.get().answers
    assert kept["q-single"] == {"option": "opt-b"}
    assert set(kept) == {"q-single", "q-multiple", "q-gap", "q-matching"}
