"""Answers against the key: what is right, and how much of it. No Django, no database.

An answer names options, gaps and pairs by their keys:
`{"option": key}`, `{"options": [key]}`, `{"gaps": {gap: text or option key}}`,
`{"pairs": {pair key on the left: pair or distractor key on the right}}`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from quizzes.document import (
    AnyQuestion,
    FillGap,
    Gap,
    Language,
    Matching,
    MultipleChoice,
    Option,
    SingleChoice,
)
from quizzes.folding import fold, matches

Answer = dict[str, Any]


@dataclass(frozen=True)
class Grade:
    """`is_correct` is all or nothing and decides coins; `score` (0…1) gives partial credit."""

    is_correct: bool
    score: Fraction


def grade(question: AnyQuestion, answer: Answer, language: Language) -> Grade:
    match question:
        case SingleChoice():
            return all_or_nothing(answer["option"] == correct_key(question.options))
        case MultipleChoice():
            right = correct_keys(question.options)
            picked = set(answer["options"])
            score = Fraction(max(0, len(picked & right) - len(picked - right)), len(right))
            return Grade(picked == right, score)
        case FillGap():
            given = answer["gaps"]
            return share_right(
                is_gap_right(gap, given.get(gap.key, ""), language) for gap in question.gaps
            )
        case Matching():
            given = answer["pairs"]
            return share_right(given.get(pair.key) == pair.key for pair in question.pairs)


def is_answered(question: AnyQuestion, answer: Answer | None, language: Language) -> bool:
    """Whether nothing is left open: only then may an attempt be completed."""
    if answer is None:
        return False
    match question:
        case SingleChoice():
            return True
        case MultipleChoice():
            return bool(answer["options"])
        case FillGap():
            given = answer["gaps"]
            return all(
                is_gap_filled(gap, given.get(gap.key, ""), language) for gap in question.gaps
            )
        case Matching():
            return all(pair.key in answer["pairs"] for pair in question.pairs)


def correct_answer(question: AnyQuestion, language: Language) -> Answer:
    """The model answer; of several accepted texts the first, as the author ordered them."""
    match question:
        case SingleChoice():
            return {"option": correct_key(question.options)}
        case MultipleChoice():
            return {"options": [option.key for option in question.options if option.correct]}
        case FillGap():
            return {
                "gaps": {
                    gap.key: correct_key(gap.options) if gap.options else gap.accepted[language][0]
                    for gap in question.gaps
                }
            }
        case Matching():
            return {"pairs": {pair.key: pair.key for pair in question.pairs}}


def is_gap_filled(gap: Gap, given: str, language: Language) -> bool:
    # An option's key is no text: it may look blank.
    return bool(given if gap.options else fold(given, language))


def is_gap_right(gap: Gap, given: str, language: Language) -> bool:
    if gap.options:
        return given == correct_key(gap.options)
    return any(matches(given, accepted, language) for accepted in gap.accepted[language])


def correct_key(options: Iterable[Option]) -> str:
    return next(option.key for option in options if option.correct)


def correct_keys(options: Iterable[Option]) -> set[str]:
    return {option.key for option in options if option.correct}


def all_or_nothing(is_right: bool) -> Grade:
    return Grade(is_right, Fraction(int(is_right)))


def share_right(verdicts: Iterable[bool]) -> Grade:
    counted = list(verdicts)
    return Grade(all(counted), Fraction(sum(counted), len(counted)))
