"""What arrives at the same moment: real threads, each with a connection of its own."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from common.tests.races import at_once
from conftest import ALICE, BOB
from quizzes import authoring, rewards, standings
from quizzes.document import LANGUAGES, Language
from quizzes.models import Attempt, Participant, Question, QuestionReward, Quiz, QuizVersion
from quizzes.tests import document, words
from quizzes.tests.factories import (
    Json,
    answer,
    balance,
    complete,
    fill_in,
    numbered,
    play,
    publish,
    right,
    start,
    take,
    wrong,
)
from quizzes.tests.test_standings import kept_figures

pytestmark = pytest.mark.django_db(transaction=True)


def client() -> APIClient:
    return APIClient(headers={"x-zmrn-user-id": ALICE})


@pytest.fixture(autouse=True)
def _expect_all_to_add_up() -> Iterator[None]:
    yield
    call_command("verify_wallet")
    before = kept_figures()
    call_command("rebuild_standings")
    assert kept_figures() == before


def statuses(responses: list[Any]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


def test_of_fifty_starts_one_makes_the_attempt() -> None:
    publish()
    path = "/api/v1/quizzes/stock-basics/attempts/"
    responses = at_once([partial(client().post, path) for _ in range(50)])
    assert statuses(responses) == {201: 1, 200: 49}
    assert len({response.content for response in responses}) == 1
    assert Attempt.objects.count() == 1


def test_fifty_starts_of_fifty_people_are_fifty_attempts() -> None:
    publish()
    path = "/api/v1/quizzes/stock-basics/attempts/"
    clients = [APIClient(headers={"x-zmrn-user-id": str(user)}) for user in range(1, 51)]
    assert statuses(at_once([partial(each.post, path) for each in clients])) == {201: 50}


def test_starts_in_five_languages_agree_on_one() -> None:
    publish()
    wishes = list(LANGUAGES) * 4
    found = at_once([partial(start, client(), language=language) for language in wishes])
    assert len({attempt["id"] for attempt in found}) == 1
    assert len({attempt["language"] for attempt in found}) == 1


@pytest.fixture
def ready(alice: APIClient) -> Json:
    publish(*numbered(4))
    attempt = start(alice)
    fill_in(alice, attempt)
    return attempt


def test_of_twenty_completions_one_counts_and_all_get_the_same(
    alice: APIClient, ready: Json
) -> None:
    responses = at_once([partial(complete, client(), ready) for _ in range(20)])
    assert statuses(responses) == {200: 20}
    assert len({response.content for response in responses}) == 1
    assert responses[0].json()["reward"]["amount"] == 400
    assert balance(alice) == 400
    assert Participant.objects.get().attempts == 1
    [entry] = alice.get("/api/v1/wallet/entries/").json()["results"]
    assert entry["reference"] == ready["id"]


def test_of_different_answers_at_once_one_is_kept_whole(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    gap = attempt["questions"][2]
    bodies = [{"gaps": {"1": f"typed {number}"}} for number in range(20)]
    responses = at_once([partial(answer, client(), attempt, gap, body) for body in bodies])
    assert statuses(responses) == {200: 20}
    assert Attempt.objects.get().answers["q-gap"] in bodies


def test_answers_to_different_questions_at_once_are_all_kept(alice: APIClient) -> None:
    publish(*numbered(20))
    attempt = start(alice)
    calls = [partial(answer, client(), attempt, each, right(each)) for each in attempt["questions"]]
    assert statuses(at_once(calls)) == {200: 20}
    assert len(Attempt.objects.get().answers) == 20


def test_with_immediate_feedback_one_of_different_answers_is_final(alice: APIClient) -> None:
    publish(*numbered(1), feedback="immediate")
    attempt = start(alice)
    [question] = attempt["questions"]
    choices = [{"option": option["id"]} for option in question["options"]]
    bodies = [body for body, _ in zip(cycle(choices), range(21), strict=False)]
    responses = at_once([partial(answer, client(), attempt, question, body) for body in bodies])
    assert statuses(responses) == {200: 7, 409: 14}
    told = {response.content for response in responses if response.status_code == 200}
    assert len(told) == 1


@pytest.mark.parametrize("_round", range(5))
def test_an_answer_that_meets_the_completion_is_in_it_or_refused(
    alice: APIClient, _round: int
) -> None:
    publish(*numbered(2))
    attempt = start(alice)
    fill_in(alice, attempt)
    question = attempt["questions"][0]
    late = [partial(answer, client(), attempt, question, wrong(question)) for _ in range(4)]
    *answers, completed = at_once([*late, partial(complete, client(), attempt)])
    assert completed.status_code == 200
    is_in = any(response.status_code == 200 for response in answers)
    assert set(statuses(answers)) <= {200, 409}
    assert completed.json()["correct"] == (1 if is_in else 2)
    kept = alice.get(f"/api/v1/attempts/{attempt['id']}/").json()["answers"][question["id"]]
    assert kept == (wrong(question) if is_in else right(question))


def test_a_start_that_meets_the_completion_is_the_old_attempt_or_the_next(
    alice: APIClient, ready: Json
) -> None:
    starts = [partial(start, client()) for _ in range(10)]
    *found, completed = at_once([*starts, partial(complete, client(), ready)])
    assert completed.status_code == 200
    assert len({attempt["id"] for attempt in found} | {ready["id"]}) <= 2
    assert Attempt.objects.filter(completed_at=None).count() <= 1


def test_two_quizzes_completed_at_once_are_both_paid(alice: APIClient) -> None:
    attempts = []
    for number in range(8):
        publish(*numbered(2), slug=f"quiz-{number}")
        attempts.append(start(alice, f"quiz-{number}"))
        fill_in(alice, attempts[-1])
    responses = at_once([partial(complete, client(), attempt) for attempt in attempts])
    assert statuses(responses) == {200: 8}
    assert balance(alice) == 8 * 200
    entries = alice.get("/api/v1/wallet/entries/").json()["results"]
    assert {entry["reference"] for entry in entries} == {each["id"] for each in attempts}


def test_many_completions_on_one_quiz_never_deadlock_and_add_up() -> None:
    quiz = publish(*numbered(6))

    def one_learner(thread: int) -> None:
        chance = random.Random(thread)
        for _ in range(30):
            # Few people, so that most completions are retakes that move the histogram.
            user = str(1 + thread * 5 + chance.randrange(5))
            chosen = chance.sample(range(6), chance.randint(0, 6))
            play(user, quiz, chosen, chance.choice(LANGUAGES))

    assert at_once([partial(one_learner, thread) for thread in range(8)]) == [None] * 8
    assert Attempt.objects.filter(completed_at__isnull=False).count() == 240


def test_many_people_at_once_who_take_it_for_the_first_time_never_deadlock() -> None:
    quiz = publish(*numbered(30))

    def newcomers(thread: int) -> None:
        for number in range(12):
            # Different results, or the histogram's row would already make them wait in turn.
            play(str(1 + thread * 100 + number), quiz, range((thread * 4 + number) % 31))

    assert at_once([partial(newcomers, thread) for thread in range(8)]) == [None] * 8
    assert Participant.objects.count() == 96


def test_a_rebuild_meanwhile_loses_and_doubles_nothing() -> None:
    quiz = publish(*numbered(4))
    for user in range(1, 9):
        play(str(user), quiz, [])

    def learn(thread: int) -> None:
        for step in range(12):
            play(str(1 + (thread + step) % 8 * 4 + thread), quiz, range(step % 5))
            play(str(thread + 1), quiz, range(1 + step % 4))

    def rebuild() -> None:
        for _ in range(12):
            standings.rebuild(quiz)

    calls: list[Callable[[], None]] = [partial(learn, thread) for thread in range(4)]
    assert at_once([*calls, rebuild]) == [None] * 5


def test_the_same_document_imported_at_once_is_one_version() -> None:
    data = document()
    found = at_once([partial(authoring.import_document, data=data, publish_at=timezone.now())] * 10)
    assert Counter(each.is_new for each in found) == {True: 1, False: 9}
    assert Counter(each.is_published_now for each in found) == {True: 1, False: 9}
    assert QuizVersion.objects.count() == Quiz.objects.count() == 1
    assert Question.objects.count() == 4


def test_different_documents_imported_at_once_are_all_versions() -> None:
    edits = [document(title=words(f"Title {number}")) for number in range(10)]
    calls = [
        partial(authoring.import_document, data=each, publish_at=timezone.now()) for each in edits
    ]
    assert all(each.is_new for each in at_once(calls))
    assert sorted(QuizVersion.objects.values_list("number", flat=True)) == [*range(1, 11)]
    published = Quiz.objects.get().published
    assert published is not None
    assert published.number == 10


def test_versions_published_while_people_learn_change_nothing_for_them() -> None:
    quiz = publish(*numbered(3))

    def publish_often() -> None:
        for number in range(10):
            data = document(*numbered(3 + number % 2), title=words(str(number)))
            authoring.import_document(
                data=data | {"feedback": "deferred"}, publish_at=timezone.now()
            )

    def learn(thread: int) -> None:
        languages: list[Language] = list(LANGUAGES)
        for step in range(10):
            latest = Quiz.objects.get(pk=quiz.pk)
            play(str(thread * 100 + step + 1), latest, [0, 2], languages[step % 5])

    calls: list[Callable[[], None]] = [partial(learn, thread) for thread in range(4)]
    assert at_once([publish_often, *calls]) == [None] * 5
    assert set(Attempt.objects.values_list("correct", flat=True)) == {2}


def test_a_reward_asked_for_twenty_times_at_once_is_paid_once(alice: APIClient) -> None:
    publish(*numbered(2))
    take(alice)
    attempt = Attempt.objects.get()
    assert at_once([attempt.save] * 20) == [None] * 20
    assert balance(alice) == 200
    assert QuestionReward.objects.count() == 2
    assert list(rewards.discrepancies()) == []


def test_a_statement_that_waits_too_long_is_503_and_can_be_repeated(
    alice: APIClient, bob: APIClient
) -> None:
    publish(*numbered(1))
    take(bob)
    attempt = start(alice)
    fill_in(alice, attempt)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE quizzes_scorecount IN EXCLUSIVE MODE")
        [response] = at_once([partial(complete_hastily, attempt)])
        cursor.execute("ROLLBACK")
    assert response.status_code == 503
    assert response["Retry-After"]
    assert Participant.objects.filter(user_id=BOB).count() == Participant.objects.count() == 1
    assert complete(alice, attempt).json()["reward"]["amount"] == 100


def complete_hastily(attempt: Json) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    return complete(client(), attempt)
