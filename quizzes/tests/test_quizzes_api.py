"""GET /quizzes/ and /quizzes/{slug}/: what is offered, and nothing that gives an answer away."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from quizzes import authoring
from quizzes.models import Quiz
from quizzes.tests import document, fill_gap, matching, multiple_choice, single_choice
from quizzes.tests.factories import (
    Json,
    answer,
    complete,
    fill_in,
    numbered,
    publish,
    right,
    start,
    wrong,
)

pytestmark = pytest.mark.django_db

LIST = "/api/v1/quizzes/"
DETAIL = "/api/v1/quizzes/stock-basics/"

# The value of chi-square that chance exceeds once in ten million, by degrees of freedom.
FAR_FROM_CHANCE = {2: 32.2, 4: 38.7}


def chi_square(seen: Sequence[int]) -> float:
    expected = sum(seen) / len(seen)
    return sum((each - expected) ** 2 / expected for each in seen)


def test_the_list_shows_what_one_needs_to_choose(alice: APIClient) -> None:
    quiz = publish()
    response = alice.get(LIST)
    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [
            {
                "id": quiz.pk,
                "slug": "stock-basics",
                "title": "Stocks [en]",
                "description": "What they are [en]",
                "language": "en",
                "available_languages": ["en", "es", "pt", "de", "tr"],
                "question_count": 4,
            }
        ],
    }


def test_only_published_quizzes_that_are_not_archived_are_listed(alice: APIClient) -> None:
    publish(slug="offered")
    authoring.archive(quiz=publish(slug="archived"), now=timezone.now())
    authoring.import_document(data=document(slug="draft"))
    assert [quiz["slug"] for quiz in alice.get(LIST).json()["results"]] == ["offered"]


@pytest.mark.parametrize("path", ["", "attempts/", "progress/"])
def test_a_quiz_that_is_not_offered_does_not_exist(alice: APIClient, path: str) -> None:
    authoring.import_document(data=document(slug="draft"))
    call = alice.post if path == "attempts/" else alice.get
    unknown = call(f"{LIST}no-such-quiz/{path}")
    draft = call(f"{LIST}draft/{path}")
    assert unknown.status_code == draft.status_code == 404
    assert without_request_id(unknown.json()) == without_request_id(draft.json())


def without_request_id(problem: Json) -> Json:
    return {name: value for name, value in problem.items() if name != "request_id"}


def test_an_archived_quiz_cannot_be_opened_and_comes_back_unarchived(alice: APIClient) -> None:
    quiz = publish()
    authoring.archive(quiz=quiz, now=timezone.now())
    assert alice.get(DETAIL).status_code == 404
    assert alice.post(f"{DETAIL}attempts/").status_code == 404
    authoring.archive(quiz=quiz, now=None)
    assert alice.get(DETAIL).status_code == 200


def test_the_list_comes_in_pages_ordered_by_slug(alice: APIClient) -> None:
    for number in range(7):
        publish(*numbered(1), slug=f"quiz-{number}")
    page = alice.get(f"{LIST}?page_size=3").json()
    seen = [quiz["slug"] for quiz in page["results"]]
    assert page["previous"] is None
    while page["next"]:
        page = alice.get(page["next"]).json()
        seen += [quiz["slug"] for quiz in page["results"]]
    assert seen == [f"quiz-{number}" for number in range(7)]
    back = alice.get(page["previous"]).json()
    assert [quiz["slug"] for quiz in back["results"]] == ["quiz-3", "quiz-4", "quiz-5"]


def test_a_page_has_20_unless_asked_for_up_to_100(alice: APIClient) -> None:
    for number in range(101):
        publish(*numbered(1), slug=f"quiz-{number:03}")
    assert len(alice.get(LIST).json()["results"]) == 20
    assert len(alice.get(f"{LIST}?page_size=100").json()["results"]) == 100


@pytest.mark.parametrize("query", ["page_size=0", "page_size=101", "page_size=x", "cursor=%00"])
def test_a_page_that_cannot_be_is_refused(alice: APIClient, query: str) -> None:
    response = alice.get(f"{LIST}?{query}")
    assert response.status_code == 400
    [fault] = response.json()["errors"]
    assert fault["pointer"] == f"/{query.partition('=')[0]}"


@pytest.mark.parametrize(("page_size", "known"), [(20, 25), (100, 100)])
def test_a_page_costs_one_query_whatever_its_size(
    alice: APIClient, page_size: int, known: int, django_assert_num_queries: Any
) -> None:
    for number in range(known):
        publish(slug=f"quiz-{number:03}")
    with django_assert_num_queries(1):
        page = alice.get(f"{LIST}?page_size={page_size}").json()
    assert len(page["results"]) == page_size


def test_the_detail_costs_one_query_however_long_the_quiz_is(
    alice: APIClient, django_assert_num_queries: Any
) -> None:
    publish(*numbered(100))
    alice.get(DETAIL)
    with django_assert_num_queries(1):
        assert len(alice.get(DETAIL).json()["questions"]) == 100


def test_the_detail_is_the_summary_and_the_questions(alice: APIClient) -> None:
    publish()
    summary = alice.get(LIST).json()["results"][0]
    detail = alice.get(DETAIL).json()
    questions = detail.pop("questions")
    assert detail == summary
    assert [question["type"] for question in questions] == [
        "single_choice",
        "multiple_choice",
        "fill_gap",
        "matching",
    ]


def shape(value: object) -> object:
    """What is there, without what it says: `{"id", "text"}` in place of each option."""
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            shapes = [shape(inner) for inner in value]
            assert all(each == shapes[0] for each in shapes) or "gaps" not in value
            return shapes
        case _:
            return type(value).__name__


CHOICE = {"id": "str", "text": "str"}


@pytest.mark.parametrize(
    ("question", "served"),
    [
        (single_choice(), {"prompt": "str", "options": [CHOICE] * 3}),
        (multiple_choice(), {"prompt": "str", "options": [CHOICE] * 4}),
        (
            fill_gap(),
            {"text": "str", "gaps": [{"id": "str"}, {"id": "str", "options": [CHOICE] * 3}]},
        ),
        (matching(), {"prompt": "str", "left": [CHOICE] * 3, "right": [CHOICE] * 5}),
    ],
    ids=lambda each: each.get("type", ""),
)
def test_a_question_is_served_with_these_fields_and_no_other(
    alice: APIClient, question: Json, served: Json
) -> None:
    publish(question)
    [found] = alice.get(DETAIL).json()["questions"]
    assert found["type"] == question["type"]
    assert shape(found) == {"id": "str", "type": "str", **served}


def test_a_gap_is_known_by_its_marker(alice: APIClient) -> None:
    publish(fill_gap())
    [question] = alice.get(DETAIL).json()["questions"]
    assert question["text"] == "The {{1}} of it is {{2}}. [en]"
    assert [gap["id"] for gap in question["gaps"]] == ["1", "2"]


# Names and words of the documents in quizzes/tests/__init__.py that only authors may see.
SECRET_NAMES = {
    *("correct", "is_correct", "accepted", "answer_key", "explanation", "correct_answer"),
    *("score", "coins", "key", "distractors", "distractor", "grades", "version", "salt"),
}
SECRET_WORDS = ("opt-", "pair-", "decoy-", "q-", "Because", "accepted", "other ", "distractor")


def leaks(text: str) -> list[str]:
    return [word for word in SECRET_WORDS if word in text] + [
        name for name in names_in(json.loads(text or "null")) if name in SECRET_NAMES
    ]


def names_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for inner in value.values() for name in names_in(inner))]
    if isinstance(value, list):
        return [name for inner in value for name in names_in(inner)]
    return []


def wrong_bodies(question: Json) -> list[object]:
    other = "0123456789abcdef"
    match question["type"]:
        case "single_choice":
            return [{}, [], {"option": other}, {"options": [other]}, {"option": None}]
        case "multiple_choice":
            return [{"options": other}, {"options": [other]}, {"option": other}]
        case "fill_gap":
            return [{"gaps": {"1": 1}}, {"gaps": {"9": "x"}}, {"gaps": {"2": other}}]
        case _:
            left, right_side = question["left"][0]["id"], question["right"][0]["id"]
            return [{"pairs": {right_side: left}}, {"pairs": {left: left}}, {"pairs": {left: 1}}]


def test_nothing_told_before_completion_gives_an_answer_away(
    alice: APIClient, bob: APIClient
) -> None:
    publish(description={})
    attempt = start(alice)
    own = f"/api/v1/attempts/{attempt['id']}/"
    told = [
        alice.get(LIST),
        alice.get(DETAIL),
        alice.post(f"{DETAIL}attempts/"),
        alice.post(f"{DETAIL}attempts/", {"key": 1}, format="json"),
        alice.post(f"{own}complete/"),
        alice.get("/api/v1/attempts/"),
        alice.get("/api/v1/progress/"),
        alice.get(f"{DETAIL}progress/"),
        bob.get(own),
        bob.post(f"{own}complete/"),
        *(alice.options(path) for path in (LIST, DETAIL, own, f"{own}complete/")),
    ]
    for question in attempt["questions"]:
        path = f"{own}answers/{question['id']}/"
        told += [alice.put(path, body, format="json") for body in wrong_bodies(question)]
        told += [alice.put(path, wrong(question), format="json"), alice.options(path)]
        told += [bob.put(path, wrong(question), format="json"), alice.get(own)]
    assert {response.status_code for response in told} == {200, 400, 404, 409}
    assert [
        (r.request["PATH_INFO"], leaks(r.content.decode()))
        for r in told
        if leaks(r.content.decode())
    ] == []


def test_the_scan_finds_what_is_told_after_completion(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    found = leaks(complete(alice, attempt).content.decode())
    assert {"correct", "is_correct", "explanation", "Because", "accepted"} <= set(found)


def test_a_right_answer_and_a_wrong_one_look_alike_until_completion(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    for question in attempt["questions"]:
        is_right = answer(alice, attempt, question, right(question))
        is_wrong = answer(alice, attempt, question, wrong(question))
        assert is_right.json() == {"question": question["id"], "answer": right(question)}
        assert is_wrong.json() == {"question": question["id"], "answer": wrong(question)}
        assert header_names(is_right) == header_names(is_wrong)


def header_names(response: Any) -> set[str]:
    return set(response.headers)


def test_the_examples_in_the_schema_are_no_real_answers(alice: APIClient) -> None:
    publish()
    text = alice.get("/api/schema/").content.decode()
    assert [
        word for word in ("opt-", "pair-", "decoy-", "Because", "Choice b") if word in text
    ] == []


def rounds(
    serve: Callable[[], list[Json]], place: Callable[[Json], int], times: int
) -> Counter[int]:
    return Counter(place(serve()[0]) for _ in range(times))


def position(items: list[Json], text: str) -> int:
    return next(n for n, item in enumerate(items) if item["text"].startswith(f"{text} ["))


def test_the_right_option_is_anywhere_each_time_a_quiz_is_opened(alice: APIClient) -> None:
    publish(single_choice())
    seen = rounds(
        lambda: alice.get(DETAIL).json()["questions"],
        lambda question: position(question["options"], "Choice b"),
        300,
    )
    assert len(seen) == 3
    assert chi_square(list(seen.values())) < FAR_FROM_CHANCE[2]


def test_the_right_option_is_anywhere_in_each_attempt(
    client_of: Callable[[str], APIClient],
) -> None:
    publish(single_choice())
    users = iter(range(1, 1000))
    seen = rounds(
        lambda: start(client_of(str(next(users))))["questions"],
        lambda question: position(question["options"], "Choice b"),
        300,
    )
    assert len(seen) == 3
    assert chi_square(list(seen.values())) < FAR_FROM_CHANCE[2]


def test_the_right_side_of_a_pair_is_anywhere_among_them_and_the_distractors(
    alice: APIClient,
) -> None:
    publish(matching())
    seen = rounds(
        lambda: alice.get(DETAIL).json()["questions"],
        lambda question: position(question["right"], "Right 1"),
        300,
    )
    assert len(seen) == 5
    assert chi_square(list(seen.values())) < FAR_FROM_CHANCE[4]


def test_the_order_of_the_ids_says_nothing_about_what_is_right(alice: APIClient) -> None:
    # A quiz's ids are fixed for ever, so that it takes many quizzes to see a pattern.
    seen: Counter[int] = Counter()
    for number in range(150):
        publish(single_choice(), slug=f"quiz-{number}")
        [question] = alice.get(f"{LIST}quiz-{number}/").json()["questions"]
        ids = sorted(option["id"] for option in question["options"])
        seen[ids.index(right(question)["option"])] += 1
    assert len(seen) == 3
    assert chi_square(list(seen.values())) < FAR_FROM_CHANCE[2]


def test_the_two_sides_of_a_pair_have_nothing_in_common(alice: APIClient) -> None:
    publish(matching())
    [question] = alice.get(DETAIL).json()["questions"]
    left = {item["id"] for item in question["left"]}
    assert not left & {item["id"] for item in question["right"]}


def test_the_same_key_in_another_quiz_has_another_id(alice: APIClient) -> None:
    publish(slug="one")
    publish(slug="two")
    one, two = (set(ids_in(alice.get(f"{LIST}{slug}/").json())) for slug in ("one", "two"))
    assert one & two == {"1", "2"}  # the gaps' markers


def ids_in(value: object) -> list[str]:
    match value:
        case dict():
            own = [value["id"]] if isinstance(value.get("id"), str) else []
            return own + [found for inner in value.values() for found in ids_in(inner)]
        case list():
            return [found for inner in value for found in ids_in(inner)]
        case _:
            return []


def test_a_description_is_not_needed(alice: APIClient) -> None:
    publish(description={})
    assert alice.get(LIST).json()["results"][0]["description"] == ""
    assert alice.get(DETAIL).json()["description"] == ""


def test_a_language_that_was_not_complete_is_not_offered_in_the_list_either(
    alice: APIClient,
) -> None:
    publish(title={"en": "Stocks", "tr": "Hisse “senedi” ı"}, description={})
    [quiz] = alice.get(f"{LIST}?lang=tr").json()["results"]
    assert (quiz["title"], quiz["language"]) == ("Hisse “senedi” ı", "tr")
    assert quiz["available_languages"] == ["en", "tr"]
    assert Quiz.objects.offered().count() == 1


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_list_can_only_be_read(alice: APIClient, method: str) -> None:
    assert getattr(alice, method)(LIST).status_code == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", LIST),
        ("get", DETAIL),
        ("post", f"{DETAIL}attempts/"),
        ("get", f"{DETAIL}progress/"),
        ("get", "/api/v1/attempts/"),
        ("get", "/api/v1/attempts/00000000-0000-7000-8000-000000000000/"),
        ("put", "/api/v1/attempts/00000000-0000-7000-8000-000000000000/answers/"
                "00000000-0000-7000-8000-000000000000/"),
        ("post", "/api/v1/attempts/00000000-0000-7000-8000-000000000000/complete/"),
        ("get", "/api/v1/progress/"),
    ],
)  # fmt: skip
def test_every_call_needs_the_user(method: str, path: str) -> None:
    response = getattr(APIClient(), method)(path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"]
    assert response.json()["type"] == "urn:problem:not-authenticated"
