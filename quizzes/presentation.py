"""The bodies that learners get: built from a version, an attempt and a language."""

import secrets
from typing import Any, cast

from quizzes import standings
from quizzes.document import Language
from quizzes.grading import Grade, correct_answer
from quizzes.models import Attempt, Quiz, QuizVersion
from quizzes.rounding import half_up
from quizzes.sheet import Sheet


def quiz_body(quiz: Quiz, version: QuizVersion, language: Language) -> dict[str, Any]:
    document = version.content
    # A fresh order for each look, so that none can mean anything.
    seed = secrets.token_bytes(16)
    return {
        "id": quiz.pk,
        "slug": quiz.slug,
        "title": document.title[language],
        "description": document.description.get(language, ""),
        "language": language,
        "available_languages": version.languages,
        "question_count": len(document.questions),
        "questions": [sheet.served(seed) for sheet in version.sheets(quiz.salt, language)],
    }


def attempt_body(attempt: Attempt) -> dict[str, Any]:
    sheets = attempt.sheets
    return {
        "id": attempt.pk,
        "quiz": attempt.quiz.slug,
        "language": attempt.language,
        "status": "completed" if attempt.is_completed else "in_progress",
        "started_at": attempt.started_at,
        "completed_at": attempt.completed_at,
        # Seeded by the attempt: the same order every time it is fetched.
        "questions": [sheet.served(attempt.pk.bytes) for sheet in sheets],
        "answers": {
            str(sheet.id): sheet.written(attempt.answers[sheet.question.key])
            for sheet in sheets
            if sheet.question.key in attempt.answers
        },
        "result": result_body(attempt) if attempt.is_completed else None,
    }


def result_body(attempt: Attempt) -> dict[str, Any]:
    """The verdicts and the standing as they were at completion: the same body for ever.

    An attempt that came by SQL may lack any of it: it stands where it stands now.
    """
    grades: dict[str, Any] = attempt.grades or {}
    standing = (
        attempt.standing
        or standings.standing_of(attempt.user_id, attempt.quiz, len(attempt.sheets)).as_json()
    )
    rewards = dict(attempt.rewards.values_list("question", "amount"))
    questions = []
    for sheet in attempt.sheets:
        is_correct, score = grades.get(sheet.question.key, (False, 0))
        answer = attempt.answers.get(sheet.question.key)
        questions.append(
            {
                "id": sheet.id,
                "is_correct": is_correct,
                "score": float(score),
                "answer": None if answer is None else sheet.written(answer),
                **revealed(sheet),
            }
        )
    return {
        "correct": attempt.correct,
        "total": attempt.total,
        "score": float(cast("Any", attempt.score)),
        "questions": questions,
        "reward": {
            "amount": sum(rewards.values()),
            "newly_rewarded": [sheet.id for sheet in attempt.sheets if sheet.id in rewards],
        },
        # jsonb keeps no order of fields, and a repeated call gets the same bytes.
        "standing": {name: standing[name] for name in standings.FIELDS},
    }


def saved_answer_body(sheet: Sheet, answer: dict[str, Any], grade: Grade | None) -> dict[str, Any]:
    body = {"question": sheet.id, "answer": sheet.written(answer)}
    if grade is not None:
        score = float(half_up(grade.score, 4))
        body |= {"is_correct": grade.is_correct, "score": score, **revealed(sheet)}
    return body


def revealed(sheet: Sheet) -> dict[str, Any]:
    """What only may be seen once an answer can no longer change."""
    model_answer = correct_answer(sheet.question, sheet.language)
    return {
        "correct_answer": sheet.written(model_answer),
        "explanation": sheet.question.explanation.get(sheet.language, ""),
    }


def quiz_progress_body(quiz: Quiz, version: QuizVersion, user_id: str) -> dict[str, Any]:
    questions = version.sheets(quiz.salt, "en")
    shares = standings.first_attempt_shares(quiz)
    return {
        "quiz": quiz.slug,
        **standings.standing_of(user_id, quiz, len(questions)).as_json(),
        "questions": [
            {"id": sheet.id, "first_attempt_correct_share": shares.get(sheet.id)}
            for sheet in questions
        ],
    }
