"""Trying a version as a learner would, in memory: nothing of it is written anywhere."""

import re
import secrets
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from unfold.admin import ModelAdmin

from quizzes import authoring
from quizzes.admin.page import chosen_version, quiz_page, readable, seen_quiz
from quizzes.document import (
    MARKER,
    Document,
    FillGap,
    Language,
    Matching,
    MultipleChoice,
    SingleChoice,
)
from quizzes.grading import Answer, Grade, grade, is_answered
from quizzes.models import COINS_PER_QUESTION, Quiz
from quizzes.rounding import half_up
from quizzes.sheet import AnswerRefused, Sheet
from quizzes.wording import LANGUAGE_NAMES, Part, given, solution

SEED = re.compile(r"[0-9a-f]{32}")


@dataclass
class Tried:
    """One question on the page: what was posted for it, and what came of it."""

    sheet: Sheet
    served: dict[str, Any]
    post: QueryDict
    refused: str = ""
    answer: Answer | None = None

    def __post_init__(self) -> None:
        if self.post and (body := self.body()) is not None:
            try:
                self.answer = self.sheet.read(body)
            except AnswerRefused as refused:
                self.refused = refused.faults[0]["detail"]

    def body(self) -> dict[str, Any] | None:
        """What a learner's app would send; None when nothing was touched."""
        name = str(self.sheet.id)
        match self.sheet.question:
            case SingleChoice():
                return {"option": self.post[name]} if name in self.post else None
            case MultipleChoice():
                return {"options": self.post.getlist(name)} if name in self.post else None
            case FillGap():
                return {"gaps": self.posted_parts([gap["id"] for gap in self.served["gaps"]])}
            case Matching():
                return {"pairs": self.posted_parts([side["id"] for side in self.served["left"]])}

    def posted_parts(self, ids: list[str]) -> dict[str, str]:
        posted = {each: self.post.get(f"{self.sheet.id}:{each}", "") for each in ids}
        return {each: value for each, value in posted.items() if value}

    @property
    def is_answered(self) -> bool:
        return is_answered(self.sheet.question, self.answer, self.sheet.language)

    @property
    def grade(self) -> Grade:
        if self.answer is None:
            return Grade(is_correct=False, score=Fraction())
        return grade(self.sheet.question, self.answer, self.sheet.language)

    @property
    def percent(self) -> int:
        return round(100 * self.grade.score)

    @property
    def given(self) -> list[Part]:
        return given(self.sheet.question, self.answer, self.sheet.language) if self.answer else []

    @property
    def solution(self) -> list[Part]:
        return solution(self.sheet.question, self.sheet.language)

    @property
    def explanation(self) -> str:
        return self.sheet.question.explanation.get(self.sheet.language, "")

    @property
    def chosen(self) -> list[str]:
        return self.post.getlist(str(self.sheet.id))

    @property
    def pieces(self) -> list[dict[str, Any]]:
        """A gap text cut at its markers: words, or a gap with what was given in it."""
        gaps = {gap["id"]: gap for gap in self.served["gaps"]}
        pieces: list[dict[str, Any]] = []
        for index, piece in enumerate(MARKER.split(self.served["text"])):
            if index % 2 and piece in gaps:
                pieces.append({"gap": gaps[piece], **self.field(piece)})
            else:
                pieces.append({"words": piece})
        return pieces

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [{"text": left["text"], **self.field(left["id"])} for left in self.served["left"]]

    def field(self, part: str) -> dict[str, str]:
        name = f"{self.sheet.id}:{part}"
        return {"name": name, "value": self.post.get(name, "")}


def preview_page(admin: ModelAdmin, request: HttpRequest, quiz_id: int) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    version = chosen_version(quiz, request.GET.get("version"))
    document = readable(version)
    lacking = (
        {each: len(problems) for each, problems in authoring.missing(document).items()}
        if document
        else {}
    )
    complete = [each for each, problems in lacking.items() if not problems]
    wanted = [each for each in complete if each == request.GET.get("lang")]
    language = next(iter([*wanted, *complete]), None)
    context: dict[str, Any] = {
        "version": version,
        "document": document,
        "language": language,
        "choices": [(each, LANGUAGE_NAMES[each], lacking[each]) for each in lacking],
    }
    if document and language:
        context |= tried_in(language, document, quiz, request)
    return quiz_page(admin, request, quiz, "preview", title="Preview", **context)


def tried_in(
    language: Language, document: Document, quiz: Quiz, request: HttpRequest
) -> dict[str, Any]:
    posted_seed = request.POST.get("seed", "")
    # The same order again for the page that shows what came of it.
    seed = posted_seed if SEED.fullmatch(posted_seed) else secrets.token_hex(16)
    sheets = [Sheet(question, quiz.salt.bytes, language) for question in document.questions]
    tried = [Tried(sheet, sheet.served(bytes.fromhex(seed)), request.POST) for sheet in sheets]
    score = sum((each.grade.score for each in tried), Fraction()) / len(tried)
    right = sum(each.grade.is_correct for each in tried)
    return {
        "seed": seed,
        "tried": tried,
        "quiz_title": document.title[language],
        "description": document.description.get(language, ""),
        "is_checked": request.method == "POST",
        "right": right,
        "coins": right * COINS_PER_QUESTION,
        "score": half_up(score, 4),
        "unanswered": [number for number, each in enumerate(tried, 1) if not each.is_answered],
        "again": request.get_full_path(),
    }
