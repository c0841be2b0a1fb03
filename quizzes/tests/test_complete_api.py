"""POST /attempts/{id}/complete/: one result, whole and for ever, or nothing at all."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

import wallet.services
from quizzes import authoring, rewards, standings
from quizzes.models import (
    Attempt,
    Participant,
    QuestionReward,
    QuestionTally,
    ScoreCount,
    read_version,
)
from quizzes.signals import quiz_completed
from quizzes.tests import document, matching, multiple_choice, single_choice, words
from quizzes.tests.factories import (
    Json,
    answer,
    balance,
    complete,
    fill_in,
    id_of,
    numbered,
    publish,
    right,
    start,
    take,
    wrong,
)

pytestmark = pytest.mark.django_db


def test_the_result_says_all_there_is_to_learn(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    single, multiple, gap, match = attempt["questions"]
    bodies = [right(single), wrong(multiple), wrong(gap), right(match)]
    for question, body in zip(attempt["questions"], bodies, strict=True):
        answer(alice, attempt, question, body)
    response = complete(alice, attempt)
    assert response.status_code == 200
    result = response.json()
    assert result.pop("questions") == [
        {
            "id": question["id"],
            "is_correct": is_correct,
            "score": score,
            "answer": body,
            "correct_answer": right(question),
            "explanation": f"{explanation} [en]",
        }
        for question, body, is_correct, score, explanation in zip(
            attempt["questions"],
            bodies,
            (True, False, False, True),
            (1.0, 0.5, 0.5, 1.0),
            ("Because of this", "Because of these", "Because it fits", "Because they belong"),
            strict=True,
        )
    ]
    assert result == {
        "correct": 2,
        "total": 4,
        "score": 0.75,
        "reward": {"amount": 200, "newly_rewarded": [single["id"], match["id"]]},
        "standing": {
            "best_correct": 2,
            "total": 4,
            "attempts": 1,
            "participants": 1,
            "average_correct": 2.0,
            "better_than_percent": None,
            "reason": "too_few_participants",
        },
    }
    assert balance(alice) == 200


def test_explanations_are_in_the_attempts_language(alice: APIClient) -> None:
    publish(single_choice())
    result = take(alice, language="tr")
    assert result["questions"][0]["explanation"] == "Because of this [tr]"


def test_the_score_is_the_mean_of_what_each_question_earned(alice: APIClient) -> None:
    publish(matching(), *(single_choice(key=f"q{n}") for n in range(6)))
    attempt = start(alice)
    fill_in(alice, attempt, right_at=[1])
    result = complete(alice, attempt).json()
    # (2/3 + 1) / 7
    assert (result["correct"], result["score"]) == (1, 0.2381)


def test_a_score_just_below_1_is_not_shown_as_1(alice: APIClient) -> None:
    publish(*numbered(200))
    result = take(alice, right_at=range(199))
    assert (result["correct"], result["total"], result["score"]) == (199, 200, 0.995)


@pytest.mark.parametrize("picked", ["abcd", "cd", "acd"])
def test_ticking_all_or_more_wrong_than_right_earns_nothing(alice: APIClient, picked: str) -> None:
    publish(multiple_choice())
    attempt = start(alice)
    [question] = attempt["questions"]
    chosen = [id_of(f"Choice {key}", question["options"]) for key in picked]
    answer(alice, attempt, question, {"options": chosen})
    [graded] = complete(alice, attempt).json()["questions"]
    assert (graded["is_correct"], graded["score"]) == (False, 0.0)


# Again and again


def test_completing_again_is_the_same_to_the_byte(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt, right_at=[0, 3])
    bodies = {complete(alice, attempt).content for _ in range(3)}
    bodies.add(alice.post(f"/api/v1/attempts/{attempt['id']}/complete").content)
    bodies.add(alice.post(f"/api/v1/attempts/{attempt['id']}/complete/", {}, format="json").content)
    assert len(bodies) == 1
    assert balance(alice) == 200
    assert Participant.objects.get().attempts == 1


def test_the_result_never_changes_whatever_comes_later(
    alice: APIClient, client_of: Callable[[str], APIClient]
) -> None:
    quiz = publish()
    attempt = start(alice)
    fill_in(alice, attempt, right_at=[0, 1])
    first = complete(alice, attempt).content
    for user in range(1, 7):
        take(client_of(str(user)), right_at=range(user % 5))
    take(alice)
    data = document(feedback="immediate", title=words("Renamed"))
    del data["questions"][0]
    data["questions"][0]["options"][0]["correct"] = False
    data["questions"][0]["explanation"] = words("Another explanation")
    authoring.import_document(data=data, publish_at=timezone.now())
    authoring.archive(quiz=quiz, now=timezone.now())
    read_version.cache_clear()  # as after a restart
    assert complete(alice, attempt).content == first
    seen = alice.get(f"/api/v1/attempts/{attempt['id']}/").json()
    assert seen["result"] == complete(alice, attempt).json()


@pytest.mark.parametrize("body", [{"user_id": "5"}, {"answers": {}}, [], "x"])
def test_completing_takes_no_body(alice: APIClient, body: object) -> None:
    publish(single_choice())
    attempt = start(alice)
    fill_in(alice, attempt)
    path = f"/api/v1/attempts/{attempt['id']}/complete/"
    assert alice.post(path, body, format="json").status_code == 400
    assert balance(alice) == 0
    assert complete(alice, attempt).status_code == 200


# Not yet


def test_what_is_unanswered_is_listed_and_nothing_is_completed(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    first, second, third, fourth = attempt["questions"]
    answer(alice, attempt, second, right(second))
    answer(alice, attempt, third, {"gaps": {"1": "accepted en"}})
    response = complete(alice, attempt)
    assert response.status_code == 409
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:problem:questions-unanswered"
    assert problem["questions"] == [first["id"], third["id"], fourth["id"]]
    assert alice.get(f"/api/v1/attempts/{attempt['id']}/").json()["status"] == "in_progress"
    assert not Participant.objects.exists()
    assert balance(alice) == 0


def test_it_can_be_completed_once_the_rest_is_answered(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    assert len(complete(alice, attempt).json()["questions"]) == 4
    fill_in(alice, attempt)
    assert complete(alice, attempt).status_code == 200


# All or nothing


@pytest.fixture
def ready(alice: APIClient) -> Json:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    return attempt


def broken(*args: object, **kwargs: object) -> None:
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (wallet.services, "pay"),
        (standings, "count"),
        (standings, "take_part"),
        (standings, "shift"),
        (standings, "tally"),
        (standings, "standing_of"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
@pytest.mark.django_db(transaction=True)
def test_of_a_completion_that_fails_nothing_remains(
    alice: APIClient, ready: Json, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(place, name, broken)
        response = complete(alice, ready)
    assert response.status_code == 500
    assert "broken on purpose" not in response.content.decode()
    expect_nothing_written(alice)
    assert complete(alice, ready).json()["reward"]["amount"] == 400
    assert balance(alice) == 400
    assert list(rewards.discrepancies()) == []


@pytest.fixture
def broken_listener() -> Iterator[None]:
    quiz_completed.connect(broken)
    yield
    quiz_completed.disconnect(broken)


@pytest.mark.django_db(transaction=True)
def test_a_listener_is_part_of_the_completion(
    alice: APIClient, ready: Json, broken_listener: None
) -> None:
    assert complete(alice, ready).status_code == 500
    expect_nothing_written(alice)


@pytest.mark.django_db(transaction=True)
def test_a_ledger_that_refuses_the_row_undoes_the_completion(alice: APIClient, ready: Json) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_entry ADD CONSTRAINT none CHECK (amount < 0) NOT VALID")
    try:
        assert complete(alice, ready).status_code >= 500
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE wallet_entry DROP CONSTRAINT none")
    expect_nothing_written(alice)


def expect_nothing_written(client: APIClient) -> None:
    assert Attempt.objects.get().completed_at is None
    for model in (QuestionReward, Participant, ScoreCount, QuestionTally):
        assert not model.objects.exists(), model
    assert balance(client) == 0


# What others may hear of it


def test_the_signal_is_sent_once_with_the_completed_attempt(alice: APIClient, ready: Json) -> None:
    heard: list[Attempt] = []

    def hear(attempt: Attempt, **kwargs: object) -> None:
        heard.append(attempt)

    quiz_completed.connect(hear)
    try:
        complete(alice, ready)
        complete(alice, ready)
    finally:
        quiz_completed.disconnect(hear)
    [attempt] = heard
    assert (str(attempt.pk), attempt.correct, attempt.is_completed) == (ready["id"], 4, True)


# What it costs


def test_completing_costs_the_same_for_many_questions_and_many_people(
    alice: APIClient, bob: APIClient, client_of: Callable[[str], APIClient]
) -> None:
    publish(*numbered(2), slug="short")
    publish(*numbered(40), slug="long")
    few = queries_of_completing(alice, "short")
    for user in range(1, 9):
        take(client_of(str(user)), "long", right_at=range(user))
    assert queries_of_completing(bob, "long") == few


def test_completing_again_reads_and_writes_nothing_more(
    alice: APIClient, ready: Json, django_assert_num_queries: Any
) -> None:
    complete(alice, ready)
    # savepoint, the attempt, release, its rewards
    with django_assert_num_queries(4):
        complete(alice, ready)


def queries_of_completing(client: APIClient, slug: str) -> int:
    attempt = start(client, slug)
    fill_in(client, attempt)
    with CaptureQueriesContext(connection) as queries:
        complete(client, attempt)
    return len(queries)
