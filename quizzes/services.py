"""Every write of a learner's: starting, answering and completing an attempt, and its reward."""

from datetime import datetime
from fractions import Fraction
from typing import cast
from uuid import UUID

from django.db import connection, transaction

import wallet.services
from common.problems import Fault, InvalidInput, NotFound, Problem
from quizzes import standings
from quizzes.document import Language
from quizzes.grading import Answer, Grade, grade, is_answered
from quizzes.models import COINS_PER_QUESTION, Attempt, Quiz
from quizzes.rounding import half_up
from quizzes.sheet import AnswerRefused, Sheet
from quizzes.signals import quiz_completed

OWNER, REWARD = "quizzes", "quiz_reward"


class AttemptCompleted(Problem):
    status, code, title = 409, "attempt-completed", "The attempt is completed"


class AnswerFinal(Problem):
    status, code, title = 409, "answer-final", "The answer was given and told; it cannot change"


class QuestionsUnanswered(Problem):
    status, code, title = 409, "questions-unanswered", "Some questions are not answered"


def start_attempt(
    *, quiz: Quiz, user_id: str, language: Language, now: datetime
) -> tuple[Attempt, bool]:
    """The user's open attempt at the quiz and whether it is new; at most one under any race.

    An archived quiz is only taken up again: NotFound without an open attempt.
    """
    if quiz.published_id is None:
        raise NotFound()
    while True:
        started = Attempt(
            user_id=user_id,
            quiz=quiz,
            version_id=quiz.published_id,
            language=language,
            started_at=now,
        )
        if not quiz.is_archived:
            Attempt.objects.bulk_create([started], ignore_conflicts=True)
        opened = Attempt.objects.of(user_id).with_version().filter(quiz=quiz, completed_at=None)
        # None when somebody completed it between the two statements: then the next one starts.
        if found := opened.first():
            return found, found.pk == started.pk
        if quiz.is_archived:
            raise NotFound()


def save_answer(
    *, attempt_id: UUID, user_id: str, question_id: UUID, body: object
) -> tuple[Sheet, Answer, Grade | None]:
    """Store or replace an answer. In a quiz with immediate feedback a whole answer is final, and
    its grade comes back. Raises NotFound, InvalidInput, AttemptCompleted or AnswerFinal."""
    with transaction.atomic():
        attempt = locked(attempt_id, user_id)
        sheet = next((each for each in attempt.sheets if each.id == question_id), None)
        if sheet is None:
            raise NotFound()
        try:
            answer = sheet.read(body)
        except AnswerRefused as refused:
            raise InvalidInput(*cast("list[Fault]", refused.faults)) from None
        if attempt.is_completed:
            raise AttemptCompleted()
        question, language = sheet.question, sheet.language
        is_immediate = attempt.version.content.feedback == "immediate"
        earlier = attempt.answers.get(question.key)
        is_final = is_immediate and is_answered(question, earlier, language)
        if is_final and not is_same(answer, earlier):
            raise AnswerFinal()
        if is_final:
            answer = earlier
        else:
            attempt.answers[question.key] = answer
            attempt.save(update_fields=["answers"])
    is_told = is_immediate and is_answered(question, answer, language)
    return sheet, answer, grade(question, answer, language) if is_told else None


def complete_attempt(*, attempt_id: UUID, user_id: str, now: datetime) -> Attempt:
    """Grade the attempt, with all that follows, in one transaction; again, it is returned as it is.

    Raises NotFound or QuestionsUnanswered.
    """
    with transaction.atomic():
        attempt = locked(attempt_id, user_id)
        if attempt.is_completed:
            return attempt
        sheets = attempt.sheets
        open_questions = [
            str(sheet.id)
            for sheet in sheets
            if not is_answered(
                sheet.question, attempt.answers.get(sheet.question.key), sheet.language
            )
        ]
        if open_questions:
            raise QuestionsUnanswered(questions=open_questions)
        grades = [
            grade(sheet.question, attempt.answers[sheet.question.key], sheet.language)
            for sheet in sheets
        ]
        attempt.completed_at = now
        attempt.grades = {
            sheet.question.key: [each.is_correct, str(half_up(each.score, 4))]
            for sheet, each in zip(sheets, grades, strict=True)
        }
        attempt.correct = sum(each.is_correct for each in grades)
        attempt.total = len(sheets)
        attempt.score = half_up(sum((each.score for each in grades), Fraction()) / len(sheets), 4)
        # The hook on this save does what follows (receivers.py), in this transaction.
        attempt.save(update_fields=["completed_at", "grades", "correct", "total", "score"])
    return attempt


def follow_completion(attempt: Attempt) -> None:
    """The coins, the place among the others, word to whoever listens: once, whoever completed it.

    An attempt that has its standing is counted.
    """
    with transaction.atomic():
        reward(attempt)
        waiting = Attempt.objects.select_for_update().filter(pk=attempt.pk, standing__isnull=True)
        if attempt.standing is not None or waiting.values_list("pk").first() is None:
            return
        grades, user_id = attempt.grades or {}, attempt.user_id
        standings.count(
            quiz=attempt.quiz,
            user_id=user_id,
            language=attempt.language,
            verdicts={sheet.id: grades[sheet.question.key][0] for sheet in attempt.sheets},
        )
        standing = standings.standing_of(user_id, attempt.quiz, attempt.total or 0)
        attempt.standing = standing.as_json()
        Attempt.objects.filter(pk=attempt.pk).update(standing=attempt.standing)
        quiz_completed.send(sender=Attempt, attempt=attempt)


def reward(attempt: Attempt) -> None:
    """Pay for the questions that this user never had right before, once for ever.

    The unique row per user and question decides, so neither a retry nor another attempt at the
    same moment can be paid for the same question.
    """
    grades = attempt.grades or {}
    right = [sheet.id for sheet in attempt.sheets if grades[sheet.question.key][0]]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quizzes_questionreward (user_id, question_id, attempt_id, amount)
            SELECT %(user_id)s, question, %(attempt)s, %(amount)s
            FROM unnest(%(questions)s::uuid[]) AS question ORDER BY question
            ON CONFLICT (user_id, question_id) DO NOTHING
            """,
            {
                "user_id": attempt.user_id,
                "attempt": attempt.pk,
                "amount": COINS_PER_QUESTION,
                "questions": right,
            },
        )
        newly_right = cursor.rowcount
    if newly_right:
        wallet.services.pay(
            wallet.services.Claim(
                owner=OWNER,
                key=f"quiz-reward:{attempt.pk}",
                user_id=attempt.user_id,
                amount=newly_right * COINS_PER_QUESTION,
                kind=REWARD,
                reference=str(attempt.pk),
                reason=f"{newly_right} newly correct in {attempt.quiz.slug}",
            )
        )


def locked(attempt_id: UUID, user_id: str) -> Attempt:
    found = (
        Attempt.objects.of(user_id)
        .with_version()
        .select_for_update(of=("self",))
        .filter(pk=attempt_id)
        .first()
    )
    if found is None:
        raise NotFound()
    return found


def is_same(answer: Answer, earlier: Answer) -> bool:
    if "options" in answer:
        return set(answer["options"]) == set(earlier["options"])
    return answer == earlier
