"""How a quiz and its questions perform: read-only figures for its authors.

Shares and scores come from the kept tallies, however many took part. Wrong answers are counted
in the newest completed attempts only, so that the page costs the same for a quiz of any age.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from quizzes.document import (
    AnyQuestion,
    Document,
    DocumentRefused,
    FillGap,
    Language,
    Matching,
    MultipleChoice,
    SingleChoice,
    read_document,
)
from quizzes.folding import fold
from quizzes.grading import is_gap_right
from quizzes.models import Question, QuestionTally, Quiz, QuizVersion, ScoreCount
from quizzes.wording import Part, chosen, gap_place, in_language, right_side, said

NEWEST_ATTEMPTS = 10_000
WRONG_ANSWERS_SHOWN = 5
# Of one gap in one language; people who spell alike are merged after this.
SPELLINGS_READ = 200


@dataclass(frozen=True)
class Share:
    correct: int = 0
    answered: int = 0

    @property
    def percent(self) -> float | None:
        return round(100 * self.correct / self.answered, 1) if self.answered else None


@dataclass(frozen=True)
class WrongAnswer:
    """`place` names the gap or the left side, if the question has such."""

    place: str
    text: str
    times: int


@dataclass
class Figures:
    """One question's: shares of the first completed attempts, overall and per language."""

    key: str
    question: AnyQuestion | None
    by_language: dict[str, Share] = field(default_factory=dict)
    wrong: dict[str, list[WrongAnswer]] = field(default_factory=dict)

    @property
    def overall(self) -> Share:
        shares = self.by_language.values()
        return Share(sum(s.correct for s in shares), sum(s.answered for s in shares))

    def share(self, language: str) -> Share:
        return self.by_language.get(language, Share())


@dataclass(frozen=True)
class Histogram:
    """Participants by their best number of correct answers."""

    counts: Mapping[int, int]

    @property
    def participants(self) -> int:
        return sum(self.counts.values())

    @property
    def average(self) -> float | None:
        points = sum(correct * people for correct, people in self.counts.items())
        return round(points / self.participants, 2) if self.participants else None


def histogram(quiz: Quiz, total: int) -> Histogram:
    """From 0 to `total` correct, and beyond where an older version had more questions."""
    found = dict(
        ScoreCount.objects.filter(quiz=quiz, participants__gt=0).values_list(
            "correct", "participants"
        )
    )
    return Histogram({n: found.get(n, 0) for n in range(max([total, *found]) + 1)})


def participants_of(quizzes: list[int]) -> dict[int, int]:
    counted = ScoreCount.objects.filter(quiz__in=quizzes).values_list("quiz")
    return dict(counted.annotate(Sum("participants")))


def figures(quiz: Quiz, document: Document | None) -> list[Figures]:
    """Of the document's questions in their order, then of those that are no longer asked."""
    asked = {question.key: question for question in document.questions} if document else {}
    found = {key: Figures(key, question) for key, question in asked.items()}
    keys: dict[UUID, str] = dict(Question.objects.filter(quiz=quiz).values_list("id", "key"))
    for tally in QuestionTally.objects.filter(question__in=keys).order_by("question", "language"):
        key = keys[tally.question_id]
        each = found.setdefault(key, Figures(key, None))
        each.by_language[tally.language] = Share(tally.correct, tally.answered)
    for (key, language), wrong in wrong_answers(quiz).items():
        if key in found:
            found[key].wrong[language] = wrong
    return list(found.values())


# One row per question, part of it and what was given there, by version: keys mean what they meant
# when they were answered. Only answers that were judged wrong; the order of a set means nothing.
WRONG = """
WITH newest AS (
    SELECT version_id, language, answers, grades FROM quizzes_attempt
    WHERE quiz_id = %(quiz)s AND completed_at IS NOT NULL
    ORDER BY completed_at DESC LIMIT %(attempts)s
), wrong AS (
    SELECT version_id, language, answer.key AS question, answer.value AS answer
    FROM newest CROSS JOIN LATERAL jsonb_each(answers) AS answer
    WHERE NOT (grades->answer.key->>0)::bool
), given AS (
    SELECT version_id, language, question, '' AS part, answer->>'option' AS given
    FROM wrong WHERE answer ? 'option'
    UNION ALL
    SELECT version_id, language, question, '',
           (SELECT jsonb_agg(picked ORDER BY picked)::text
            FROM jsonb_array_elements(answer->'options') AS picked)
    FROM wrong WHERE answer ? 'options'
    UNION ALL
    SELECT version_id, language, question, part.key, part.value
    FROM wrong CROSS JOIN LATERAL jsonb_each_text(answer->'gaps') AS part
    WHERE answer ? 'gaps'
    UNION ALL
    SELECT version_id, language, question, part.key, part.value
    FROM wrong CROSS JOIN LATERAL jsonb_each_text(answer->'pairs') AS part
    WHERE answer ? 'pairs' AND part.key <> part.value
), counted AS (
    SELECT version_id, language, question, part, given, count(*) AS times,
           row_number() OVER (
               PARTITION BY language, question, part ORDER BY count(*) DESC, given
           ) AS place
    FROM given GROUP BY version_id, language, question, part, given
)
SELECT version_id, language, question, part, given, times
FROM counted WHERE place <= %(spellings)s
ORDER BY version_id DESC, times DESC, given
"""


def wrong_answers(quiz: Quiz) -> dict[tuple[str, str], list[WrongAnswer]]:
    """The most common ones per question key and language, in words."""
    with connection.cursor() as cursor:
        cursor.execute(
            WRONG,
            {"quiz": quiz.pk, "attempts": NEWEST_ATTEMPTS, "spellings": SPELLINGS_READ},
        )
        rows = cursor.fetchall()
    questions = questions_of({row[0] for row in rows})
    times: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    words: dict[tuple[str, str, str, str], tuple[str, str]] = {}
    for version, language, key, part, given, count in rows:
        question = questions.get((version, key))
        if question is None or (found := in_words(question, part, given, language)) is None:
            continue
        alike, place, text = found
        # The newest version's words come first, in their most common spelling.
        words.setdefault((key, language, part, alike), (place, text))
        times[key, language][part, alike] += count
    return {
        (key, language): [
            WrongAnswer(*words[key, language, part, alike], count)
            for (part, alike), count in counter.most_common(WRONG_ANSWERS_SHOWN)
        ]
        for (key, language), counter in times.items()
    }


def questions_of(versions: set[int]) -> dict[tuple[int, str], AnyQuestion]:
    found: dict[tuple[int, str], AnyQuestion] = {}
    for version, data in QuizVersion.objects.filter(pk__in=versions).values_list("pk", "document"):
        # One that today's rules refuse cannot say what its keys mean.
        with suppress(DocumentRefused):
            for question in read_document(data).questions:
                found[version, question.key] = question
    return found


def in_words(
    question: AnyQuestion, part: str, given: str, language: Language
) -> tuple[str, str, str] | None:
    """What makes two answers alike, the place and the text; None when just this part was right."""
    match question:
        case SingleChoice():
            return given, "", joined(chosen(question.options, [given], language))
        case MultipleChoice():
            return given, "", joined(chosen(question.options, json.loads(given), language))
        case FillGap():
            gap = next((gap for gap in question.gaps if gap.key == part), None)
            if gap is None or is_gap_right(gap, given, language):
                return None
            alike = given if gap.options else fold(given, language)
            return alike, gap_place(question, gap), said(gap, given, language)
        case Matching():
            pair = next((pair for pair in question.pairs if pair.key == part), None)
            if pair is None:
                return None
            return given, in_language(pair.left, language), right_side(question, given, language)


def joined(parts: list[Part]) -> str:
    return " + ".join(part.text for part in parts)
