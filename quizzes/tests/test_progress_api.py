"""GET /progress/ and /quizzes/{slug}/progress/: the caller compared to the others, as of now."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from quizzes import authoring
from quizzes.tests import document, single_choice
from quizzes.tests.factories import Json, numbered, publish, start, take

pytestmark = pytest.mark.django_db

ALL = "/api/v1/progress/"
ONE = "/api/v1/quizzes/stock-basics/progress/"
NOTHING_YET = {
    "best_correct": None,
    "total": 2,
    "attempts": 0,
    "participants": 0,
    "average_correct": None,
    "better_than_percent": None,
    "reason": "too_few_participants",
}

ClientOf = Callable[[str], APIClient]


def test_who_never_tried_has_an_empty_list(alice: APIClient) -> None:
    publish()
    assert alice.get(ALL).json() == []


def test_an_attempt_not_completed_is_no_progress(alice: APIClient) -> None:
    publish(*numbered(2))
    start(alice)
    assert alice.get(ALL).json() == []
    assert without_questions(alice.get(ONE).json()) == {"quiz": "stock-basics", **NOTHING_YET}


def without_questions(body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "questions"}


def test_a_quiz_that_nobody_completed_has_no_shares(alice: APIClient) -> None:
    publish(*numbered(2))
    questions = alice.get("/api/v1/quizzes/stock-basics/").json()["questions"]
    assert alice.get(ONE).json() == {
        "quiz": "stock-basics",
        **NOTHING_YET,
        "questions": [
            {"id": question["id"], "first_attempt_correct_share": None} for question in questions
        ],
    }


def test_there_is_one_entry_for_each_quiz_by_slug(alice: APIClient, bob: APIClient) -> None:
    for slug in ("stocks", "bonds", "funds"):
        publish(*numbered(2), slug=slug)
    take(alice, "stocks")
    take(alice, "bonds", right_at=[1])
    take(alice, "bonds", right_at=[])
    take(bob, "funds")
    take(bob, "bonds")
    found = alice.get(ALL).json()
    assert [each["quiz"] for each in found] == ["bonds", "stocks"]
    assert found[0] == {
        "quiz": "bonds",
        "best_correct": 1,
        "total": 2,
        "attempts": 2,
        "participants": 2,
        "average_correct": 1.5,
        "better_than_percent": None,
        "reason": "too_few_participants",
    }


def test_it_is_live_while_the_result_stays_as_it_was(alice: APIClient, client_of: ClientOf) -> None:
    publish(*numbered(3))
    result = take(alice, right_at=[0, 1])
    for user in range(1, 6):
        take(client_of(str(user)), right_at=range(user % 4))
    [live] = alice.get(ALL).json()
    # The others have 1, 2, 3, 0 and 1 right.
    assert live == {
        "quiz": "stock-basics",
        "best_correct": 2,
        "total": 3,
        "attempts": 1,
        "participants": 6,
        "average_correct": 1.5,
        "better_than_percent": 60.0,
        "reason": None,
    }
    assert without_questions(alice.get(ONE).json()) == live
    assert result["standing"]["participants"] == 1


def test_a_new_version_changes_the_total_and_keeps_the_best(alice: APIClient) -> None:
    publish(*numbered(2))
    take(alice)
    data = document(*numbered(3), feedback="deferred")
    authoring.import_document(data=data, publish_at=timezone.now())
    [live] = alice.get(ALL).json()
    assert (live["best_correct"], live["total"]) == (2, 3)
    shares = [each["first_attempt_correct_share"] for each in alice.get(ONE).json()["questions"]]
    assert shares == [1.0, 1.0, None]


def test_the_share_is_of_the_first_completed_attempt_alone(
    alice: APIClient, bob: APIClient, charlie: APIClient
) -> None:
    publish(*numbered(3))
    take(alice, right_at=[0])
    take(alice, right_at=[0, 1, 2])
    take(bob, right_at=[0, 1], language="tr")
    take(charlie, right_at=[])
    start(charlie)
    shares = [each["first_attempt_correct_share"] for each in alice.get(ONE).json()["questions"]]
    assert shares == [0.67, 0.33, 0.0]


def test_what_was_taken_out_of_the_offer_still_counts(alice: APIClient) -> None:
    quiz = publish(*numbered(2))
    take(alice)
    authoring.archive(quiz=quiz, now=timezone.now())
    [live] = alice.get(ALL).json()
    assert without_questions(alice.get(ONE).json()) == live


def test_a_draft_has_no_progress(alice: APIClient) -> None:
    authoring.import_document(data=document(single_choice()))
    assert alice.get(ONE).status_code == 404


@pytest.mark.parametrize("count", [1, 20])
def test_it_costs_the_same_however_many_quizzes_and_people(
    alice: APIClient, client_of: ClientOf, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        publish(*numbered(1), slug=f"quiz-{number}")
        take(alice, f"quiz-{number}")
    for user in range(1, count + 1):
        take(client_of(str(user)), "quiz-0")
    with django_assert_num_queries(3):
        assert len(alice.get(ALL).json()) == count
    # the quiz, the standing, the tallies
    with django_assert_num_queries(3):
        alice.get("/api/v1/quizzes/quiz-0/progress/")
