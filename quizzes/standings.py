"""Where a learner stands among the others: kept as attempts complete, read by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Func, IntegerField, Sum

from quizzes.models import Participant, QuestionTally, Quiz, QuizVersion, ScoreCount
from quizzes.rounding import half_up

FEWEST_OTHERS = 5
FIELDS = (
    "best_correct",
    "total",
    "attempts",
    "participants",
    "average_correct",
    "better_than_percent",
    "reason",
)


@dataclass(frozen=True)
class Standing:
    """One learner's place; `best_correct` is None for whoever has completed nothing."""

    total: int
    attempts: int
    best_correct: int | None
    counts: dict[int, int]

    def as_json(self) -> dict[str, Any]:
        participants = sum(self.counts.values())
        answer: dict[str, Any] = {
            "best_correct": self.best_correct,
            "total": self.total,
            "attempts": self.attempts,
            "participants": participants,
            "average_correct": None,
            "better_than_percent": None,
            "reason": None,
        }
        if participants:
            points = sum(correct * people for correct, people in self.counts.items())
            answer["average_correct"] = float(half_up(Fraction(points, participants), 2))
        others = participants - (self.best_correct is not None)
        if others < FEWEST_OTHERS:
            answer["reason"] = "too_few_participants"
        elif self.best_correct is None:
            answer["reason"] = "not_completed"
        else:
            behind = sum(n for correct, n in self.counts.items() if correct < self.best_correct)
            answer["better_than_percent"] = float(half_up(Fraction(100 * behind, others), 1))
        return answer


def count(
    *,
    quiz: Quiz,
    user_id: str,
    language: str,
    verdicts: Mapping[UUID, bool],
) -> None:
    """Count a completed attempt. The caller holds the lock on the attempt, so for one user and
    quiz this never runs twice at once.

    The histogram's rows, which everybody shares, are locked by ascending score and the tallies by
    question, so that completions that cross each other wait but never deadlock.
    """
    correct = sum(verdicts.values())
    before = take_part(quiz, user_id, correct)
    if before is None:
        shift(quiz, correct, 1)
        tally(language, verdicts)
    elif correct > before:
        shift(quiz, before, -1)
        shift(quiz, correct, 1)


def take_part(quiz: Quiz, user_id: str, correct: int) -> int | None:
    """Keep the user's best; what it was before, None at the first time.

    In one statement: its snapshot comes after its lock, so it sees what a rebuild has left.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH before AS (
                SELECT best_correct FROM quizzes_participant
                WHERE user_id = %(user_id)s AND quiz_id = %(quiz)s
            )
            INSERT INTO quizzes_participant AS mine (user_id, quiz_id, attempts, best_correct)
            VALUES (%(user_id)s, %(quiz)s, 1, %(correct)s)
            ON CONFLICT (user_id, quiz_id) DO UPDATE
            SET attempts = mine.attempts + 1,
                best_correct = greatest(mine.best_correct, excluded.best_correct)
            RETURNING (SELECT best_correct FROM before)
            """,
            {"user_id": user_id, "quiz": quiz.pk, "correct": correct},
        )
        best: int | None = cursor.fetchone()[0]
    return best


def shift(quiz: Quiz, correct: int, people: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quizzes_scorecount AS mine (quiz_id, correct, participants)
            VALUES (%(quiz)s, %(correct)s, greatest(%(people)s, 0))
            ON CONFLICT (quiz_id, correct) DO UPDATE
            SET participants = mine.participants + %(people)s
            """,
            {"quiz": quiz.pk, "correct": correct, "people": people},
        )


def tally(language: str, verdicts: Mapping[UUID, bool]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quizzes_questiontally AS mine (question_id, language, answered, correct)
            SELECT question, %(language)s, 1, is_correct::int
            FROM unnest(%(questions)s::uuid[], %(verdicts)s::bool[]) AS given (question, is_correct)
            ORDER BY question
            ON CONFLICT (question_id, language) DO UPDATE
            SET answered = mine.answered + 1, correct = mine.correct + excluded.correct
            """,
            {
                "language": language,
                "questions": list(verdicts),
                "verdicts": list(verdicts.values()),
            },
        )


def standing_of(user_id: str, quiz: Quiz, total: int) -> Standing:
    """One look-up by key, however many people took part."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT score.correct, score.participants, mine.attempts, mine.best_correct
            FROM quizzes_scorecount score
            LEFT JOIN quizzes_participant mine
                ON mine.user_id = %(user_id)s AND mine.quiz_id = score.quiz_id
            WHERE score.quiz_id = %(quiz)s AND score.participants > 0
            """,
            {"user_id": user_id, "quiz": quiz.pk},
        )
        rows = cursor.fetchall()
    attempts, best_correct = rows[0][2:] if rows else (None, None)
    return Standing(
        total=total,
        attempts=attempts or 0,
        best_correct=best_correct,
        counts={correct: participants for correct, participants, _, _ in rows},
    )


def standings_of(user_id: str) -> list[tuple[Quiz, Standing]]:
    """One for each quiz that the user has completed, in three queries for all of them."""
    mine = list(
        Participant.objects.filter(user_id=user_id).select_related("quiz").order_by("quiz__slug")
    )
    counts: dict[int, dict[int, int]] = {each.quiz_id: {} for each in mine}
    for quiz_id, correct, people in ScoreCount.objects.filter(
        quiz__in=counts, participants__gt=0
    ).values_list("quiz_id", "correct", "participants"):
        counts[quiz_id][correct] = people
    totals = question_counts([each.quiz for each in mine])
    return [
        (
            each.quiz,
            Standing(totals[each.quiz_id], each.attempts, each.best_correct, counts[each.quiz_id]),
        )
        for each in mine
    ]


def question_counts(quizzes: Sequence[Quiz]) -> dict[int, int]:
    counted = QuizVersion.objects.filter(pk__in=[quiz.published_id for quiz in quizzes])
    return dict(
        counted.annotate(
            total=Func(
                "document__questions",
                function="jsonb_array_length",
                output_field=IntegerField(),
            )
        ).values_list("quiz_id", "total")
    )


def first_attempt_shares(quiz: Quiz) -> dict[UUID, float]:
    """Per question: the share of participants right in the first attempt that they completed."""
    sums = (
        QuestionTally.objects.filter(question__quiz=quiz)
        .values_list("question")
        .annotate(Sum("answered"), Sum("correct"))
    )
    return {
        question: float(half_up(Fraction(correct, answered), 2))
        for question, answered, correct in sums
        if answered
    }


# The same figures from the attempts alone: what `count` must add up to, whatever came in between.
REBUILD = (
    """
    DELETE FROM quizzes_participant WHERE quiz_id = %(quiz)s
    """,
    """
    INSERT INTO quizzes_participant (user_id, quiz_id, attempts, best_correct)
    SELECT user_id, quiz_id, count(*), max(correct) FROM quizzes_attempt
    WHERE quiz_id = %(quiz)s AND completed_at IS NOT NULL
    GROUP BY user_id, quiz_id
    """,
    """
    DELETE FROM quizzes_scorecount WHERE quiz_id = %(quiz)s
    """,
    """
    INSERT INTO quizzes_scorecount (quiz_id, correct, participants)
    SELECT quiz_id, best_correct, count(*) FROM quizzes_participant
    WHERE quiz_id = %(quiz)s
    GROUP BY quiz_id, best_correct
    """,
    """
    DELETE FROM quizzes_questiontally
    WHERE question_id IN (SELECT id FROM quizzes_question WHERE quiz_id = %(quiz)s)
    """,
    """
    INSERT INTO quizzes_questiontally (question_id, language, answered, correct)
    SELECT question.id, first.language, count(*), count(*) FILTER (WHERE (grade.value->>0)::bool)
    FROM (
        SELECT DISTINCT ON (user_id) quiz_id, language, grades FROM quizzes_attempt
        WHERE quiz_id = %(quiz)s AND completed_at IS NOT NULL
        ORDER BY user_id, completed_at, id
    ) first
    CROSS JOIN LATERAL jsonb_each(first.grades) AS grade
    JOIN quizzes_question question ON question.quiz_id = first.quiz_id AND question.key = grade.key
    GROUP BY question.id, first.language
    """,
)


def rebuild(quiz: Quiz) -> None:
    """Make the kept figures equal to what the attempts say; completions wait meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        # A completion comes by here before it touches any other of these figures.
        cursor.execute("LOCK TABLE quizzes_participant IN SHARE ROW EXCLUSIVE MODE")
        for statement in REBUILD:
            cursor.execute(statement, {"quiz": quiz.pk})
