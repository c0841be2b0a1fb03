"""Coins: 100 for a question answered correctly, once per user and question, for ever."""

from collections.abc import Callable, Generator, Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

import wallet.services
from conftest import ALICE, BOB
from quizzes import authoring, rewards, services
from quizzes.document import LANGUAGES
from quizzes.models import Attempt, QuestionReward, Quiz
from quizzes.signals import quiz_completed
from quizzes.tests import document, single_choice
from quizzes.tests.factories import (
    Json,
    answer,
    balance,
    complete,
    fill_in,
    numbered,
    play,
    publish,
    start,
    take,
    wrong,
)
from wallet.services import Claim, Payment

pytestmark = pytest.mark.django_db

ENTRIES = "/api/v1/wallet/entries/"


def reward_of(result: Json) -> tuple[int, list[int]]:
    """The amount, and which questions of the result were paid."""
    ids = [question["id"] for question in result["questions"]]
    reward = result["reward"]
    return reward["amount"], sorted(ids.index(paid) for paid in reward["newly_rewarded"])


def test_a_reward_is_one_posting_that_names_the_attempt(alice: APIClient) -> None:
    publish(*numbered(3))
    attempt = start(alice)
    fill_in(alice, attempt, right_at=[0, 2])
    result = complete(alice, attempt).json()
    assert reward_of(result) == (200, [0, 2])
    [entry] = alice.get(ENTRIES).json()["results"]
    assert (entry["kind"], entry["reference"]) == ("quiz_reward", attempt["id"])
    assert (entry["amount"], entry["balance_after"]) == (200, 200)


def test_nothing_is_paid_before_completion(alice: APIClient) -> None:
    publish(feedback="immediate")
    attempt = start(alice)
    fill_in(alice, attempt)
    assert balance(alice) == 0
    complete(alice, attempt)
    assert balance(alice) == 400


def test_nothing_right_is_no_posting_at_all(alice: APIClient) -> None:
    publish(*numbered(2))
    assert reward_of(take(alice, right_at=[])) == (0, [])
    assert alice.get(ENTRIES).json()["results"] == []


def test_a_partly_right_answer_pays_nothing(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    for question in attempt["questions"]:
        answer(alice, attempt, question, wrong(question))
    result = complete(alice, attempt).json()
    assert result["score"] > 0
    assert result["reward"] == {"amount": 0, "newly_rewarded": []}


def completed_by_hand(alice: APIClient) -> Attempt:
    """As a script of somebody's would, without an answer and without our services."""
    attempt = Attempt.objects.get(pk=start(alice)["id"])
    keys = [sheet.question.key for sheet in attempt.sheets]
    attempt.grades = {key: [key != "q1", "1.0000"] for key in keys}
    attempt.correct, attempt.total, attempt.score = 2, 3, Decimal("0.6667")
    attempt.completed_at = timezone.now()
    attempt.save()
    return attempt


def test_an_attempt_that_somebody_else_completes_is_paid_counted_and_told(
    alice: APIClient,
) -> None:
    quiz = publish(*numbered(3))
    told = Mock()
    quiz_completed.connect(told)
    attempt = completed_by_hand(alice)
    again = Attempt.objects.get(pk=attempt.pk)
    again.save()
    attempt.save()
    assert balance(alice) == 200
    assert told.call_count == 1
    progress = alice.get(f"/api/v1/quizzes/{quiz.slug}/progress/").json()
    assert (progress["best_correct"], progress["attempts"]) == (2, 1)
    read = alice.get(f"/api/v1/attempts/{attempt.pk}/").json()
    assert read["result"] == complete(alice, read).json()
    assert [each["answer"] for each in read["result"]["questions"]] == [None] * 3
    assert reward_of(read["result"]) == (200, [0, 2])


def test_completed_attempts_that_came_by_sql_are_read_as_far_as_they_say(alice: APIClient) -> None:
    publish(*numbered(3))
    attempt = completed_by_hand(alice)
    Attempt.objects.filter(pk=attempt.pk).update(grades={}, standing=None)
    result = alice.get(f"/api/v1/attempts/{attempt.pk}/").json()["result"]
    assert [each["is_correct"] for each in result["questions"]] == [False] * 3
    assert result["standing"]["best_correct"] == 2


def test_a_retake_is_never_paid_twice(alice: APIClient) -> None:
    publish(*numbered(3))
    assert reward_of(take(alice)) == (300, [0, 1, 2])
    assert reward_of(take(alice)) == (0, [])
    assert balance(alice) == 300


def test_a_better_retake_pays_what_was_not_right_before(alice: APIClient) -> None:
    publish(*numbered(3))
    assert reward_of(take(alice, right_at=[0, 1])) == (200, [0, 1])
    assert reward_of(take(alice, right_at=[1, 2])) == (100, [2])
    assert reward_of(take(alice)) == (0, [])
    amounts = [entry["amount"] for entry in alice.get(ENTRIES).json()["results"]]
    assert amounts == [100, 200]


def test_a_worse_retake_takes_nothing_back(alice: APIClient) -> None:
    publish(*numbered(3))
    take(alice)
    assert reward_of(take(alice, right_at=[])) == (0, [])
    assert balance(alice) == 300


def test_everybody_is_paid_for_himself(alice: APIClient, bob: APIClient) -> None:
    publish(*numbered(2))
    take(alice)
    assert reward_of(take(bob)) == (200, [0, 1])
    assert (balance(alice), balance(bob)) == (200, 200)


def test_another_language_is_the_same_question(alice: APIClient) -> None:
    publish()
    paid = [take(alice, language=each)["reward"]["amount"] for each in LANGUAGES]
    assert paid == [400, 0, 0, 0, 0]


def test_a_new_version_pays_its_new_questions_only(alice: APIClient) -> None:
    publish(*numbered(2))
    take(alice)
    edited = numbered(3)
    edited[0]["options"][0]["correct"], edited[0]["options"][1]["correct"] = True, False
    data = document(*edited, feedback="deferred")
    authoring.import_document(data=data, publish_at=timezone.now())
    # Of the edited question `a` is right now, which right_at means by "wrong".
    assert reward_of(take(alice, right_at=[1, 2])) == (100, [2])
    assert balance(alice) == 300


def test_the_same_key_in_another_quiz_is_another_question(alice: APIClient) -> None:
    publish(*numbered(2), slug="one")
    publish(*numbered(2), slug="two")
    take(alice, "one")
    assert take(alice, "two")["reward"]["amount"] == 200


def test_an_attempt_on_an_old_version_is_not_paid_again_for_the_new_one(
    alice: APIClient,
) -> None:
    publish(*numbered(1))
    attempt = start(alice)
    data = document(*numbered(2), feedback="deferred")
    authoring.import_document(data=data, publish_at=timezone.now())
    fill_in(alice, attempt)
    assert complete(alice, attempt).json()["reward"]["amount"] == 100
    assert reward_of(take(alice)) == (100, [1])


def test_what_was_paid_stays_when_the_price_changes(
    alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(*numbered(2))
    first = start(alice)
    fill_in(alice, first, right_at=[0])
    before = complete(alice, first).content
    monkeypatch.setattr(services, "COINS_PER_QUESTION", 150)
    assert reward_of(take(alice)) == (150, [1])
    assert complete(alice, first).content == before
    assert balance(alice) == 250
    assert list(rewards.discrepancies()) == []


# The hook


def test_saving_a_completed_attempt_again_pays_nothing_more(alice: APIClient) -> None:
    publish(*numbered(2))
    take(alice)
    for attempt in Attempt.objects.all():
        attempt.save()
    assert balance(alice) == 200
    assert QuestionReward.objects.count() == 2


def test_an_attempt_that_comes_by_loaddata_is_not_paid(alice: APIClient, tmp_path: Any) -> None:
    quiz = publish(*numbered(1))
    done = play(BOB, quiz, [0])
    path = tmp_path / "attempts.json"
    call_command("dumpdata", "quizzes.attempt", output=str(path), verbosity=0)
    path.write_text(path.read_text().replace(BOB, ALICE).replace(str(done.pk), str(quiz.salt)))
    call_command("loaddata", str(path), verbosity=0)
    assert Attempt.objects.of(ALICE).get().is_completed
    assert balance(alice) == 0


def test_the_database_itself_refuses_a_second_reward(alice: APIClient) -> None:
    publish(*numbered(1))
    take(alice)
    take(alice)
    paid, other = QuestionReward.objects.get(), Attempt.objects.all()[0]
    with pytest.raises(IntegrityError, match="once_per_user_and_question"), transaction.atomic():
        QuestionReward.objects.create(
            user_id=paid.user_id, question=paid.question, attempt=other, amount=100
        )
    with pytest.raises(IntegrityError, match="pays"), transaction.atomic():
        QuestionReward.objects.create(user_id="7", question=paid.question, attempt=other, amount=0)


# The proof


def quiz_with_rewards() -> tuple[Quiz, Attempt]:
    quiz = publish(*numbered(3))
    attempt = play(ALICE, quiz, [0, 1])
    play(ALICE, quiz, [0, 1, 2])
    play(BOB, quiz, [])
    return quiz, attempt


def test_what_was_earned_and_paid_is_proven(capsys: pytest.CaptureFixture[str]) -> None:
    quiz_with_rewards()
    call_command("verify_rewards")
    call_command("verify_wallet")
    assert "exactly once" in capsys.readouterr().out


def test_a_reward_that_never_reached_the_wallet_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(wallet.services, "pay", lambda claim: None)
        _, attempt = quiz_with_rewards()
    for command in ("verify_rewards", "verify_wallet"):
        with pytest.raises(CommandError):
            call_command(command)
        told = capsys.readouterr().err
        assert f"account {ALICE}: 200 coins of attempt {attempt.pk} were paid 0 times" in told


def test_a_question_that_was_never_rewarded_is_named() -> None:
    _, attempt = quiz_with_rewards()
    QuestionReward.objects.filter(question__key="q2").delete()
    last = Attempt.objects.of(ALICE).first()
    assert last is not None
    assert last != attempt
    assert list(rewards.discrepancies()) == [
        f"account {ALICE}: question q2 of attempt {last.pk} was never rewarded",
        f"account {ALICE}: 100 coins of attempt {last.pk} were paid and not earned",
    ]


def pays(*payments: Payment) -> Callable[..., Generator[Payment, None, None]]:
    return lambda kind, owner=None, references=None: (each for each in payments)


@pytest.mark.parametrize(
    ("times", "amount", "user", "told"),
    [
        (2, 200, ALICE, ["{me}: 200 coins of attempt {attempt} were paid 2 times"]),
        (
            1,
            300,
            ALICE,
            [
                "{me}: 200 coins of attempt {attempt} were paid 0 times",
                "{me}: 300 coins of attempt {attempt} were paid and not earned",
            ],
        ),
        (
            1,
            200,
            BOB,
            [
                "{me}: 200 coins of attempt {attempt} were paid 0 times",
                "{bob}: 200 coins of attempt {attempt} were paid and not earned",
            ],
        ),
    ],
)
def test_a_wallet_that_paid_something_else_is_found_out(
    monkeypatch: pytest.MonkeyPatch, times: int, amount: int, user: str, told: list[str]
) -> None:
    quiz = publish(*numbered(2))
    attempt = play(ALICE, quiz, [0, 1])
    payment = Payment(str(attempt.pk), user, amount)
    monkeypatch.setattr(wallet.services, "payments", pays(*[payment] * times))
    names = {"me": f"account {ALICE}", "bob": f"account {BOB}", "attempt": attempt.pk}
    assert list(rewards.discrepancies()) == [line.format(**names) for line in told]


@pytest.mark.parametrize("reference", ["", "bonus", "{nobodys}", "{unpaid}"])
def test_a_payment_that_nobody_earned_is_found_out(reference: str) -> None:
    quiz, _ = quiz_with_rewards()
    unpaid = play(ALICE, quiz, [0])
    reference = reference.format(nobodys=quiz.salt, unpaid=unpaid.pk)
    wallet.services.pay(Claim("quizzes", "k", BOB, 100, "quiz_reward", reference))
    assert list(rewards.discrepancies()) == [
        f"account {BOB}: 100 coins of attempt {reference} were paid and not earned"
    ]


@pytest.mark.parametrize(
    ("amount", "told"),
    [(200, "200 coins of attempt {} were paid 2 times"), (1, "attempt {} was paid for 2 times")],
)
def test_an_attempt_that_somebody_else_paid_for_too_is_found_out(amount: int, told: str) -> None:
    attempt = play(ALICE, publish(*numbered(2)), [0, 1])
    reference = str(attempt.pk)
    wallet.services.pay(Claim("api:partner", "k", ALICE, amount, "quiz_reward", reference))
    assert list(rewards.discrepancies()) == [f"account {ALICE}: {told.format(reference)}"]
    with pytest.raises(CommandError):
        call_command("verify_wallet")


def test_other_payments_are_none_of_its_business() -> None:
    quiz_with_rewards()
    wallet.services.pay(Claim("somebody", "k", BOB, 100, "bonus", "x"))
    wallet.services.pay(Claim("somebody", "k2", BOB, 100, "quiz_reward", "a quiz of their own"))
    assert list(rewards.discrepancies()) == []


def test_more_attempts_than_are_asked_for_at_once_are_all_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rewards, "ATTEMPTS_AT_ONCE", 2)
    quiz = publish(*numbered(1))
    for user in range(1, 6):
        play(str(user), quiz, [0])
    assert list(rewards.discrepancies()) == []
    with monkeypatch.context() as patched:
        patched.setattr(wallet.services, "payments", pays())
        assert len(list(rewards.discrepancies())) == 5


@pytest.mark.parametrize("half", ["not_paid_once", "not_earned"])
def test_a_proof_that_breaks_off_leaves_nothing_half_read(
    monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    def breaks_off(some: object) -> Iterator[str]:
        raise wallet.services.WalletAway("no answer")

    quiz_with_rewards()
    monkeypatch.setattr(rewards, "ATTEMPTS_AT_ONCE", 1)
    monkeypatch.setattr(rewards, half, breaks_off)
    # While the exception is held, so is everything that it passed.
    with pytest.raises(wallet.services.WalletAway) as held:
        list(rewards.discrepancies())
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_cursors")
        assert cursor.fetchall() == [], held


# What is asked of the wallet


def test_a_claim_names_its_attempt_so_that_it_can_be_repeated(
    alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims: list[Claim] = []
    monkeypatch.setattr(wallet.services, "pay", claims.append)
    publish(single_choice())
    attempt = start(alice)
    fill_in(alice, attempt)
    complete(alice, attempt)
    [claim] = claims
    assert claim == Claim(
        owner="quizzes",
        key=f"quiz-reward:{attempt['id']}",
        user_id=ALICE,
        amount=100,
        kind="quiz_reward",
        reference=attempt["id"],
        reason="1 newly correct in stock-basics",
    )
