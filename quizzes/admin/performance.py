"""How a quiz and its questions perform, as charts and in words."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from quizzes import statistics
from quizzes.admin.page import newest_version, quiz_page, readable, seen_quiz
from quizzes.document import LANGUAGES
from quizzes.statistics import Figures
from quizzes.wording import LANGUAGE_NAMES, TYPE_NAMES, statement

LONGEST_LABEL = 60


def performance_page(admin: ModelAdmin, request: HttpRequest, quiz_id: int) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    version = quiz.published or newest_version(quiz)
    document = readable(version) if version else None
    figures = statistics.figures(quiz, document)
    histogram = statistics.histogram(quiz, len(document.questions) if document else 0)
    rows = [row(number, each) for number, each in enumerate(figures, 1)]
    return quiz_page(
        admin,
        request,
        quiz,
        "performance",
        title="Performance",
        version=version,
        rows=rows,
        histogram=histogram,
        newest_attempts=f"{statistics.NEWEST_ATTEMPTS:,}",
        participants=f"{histogram.participants:,}",
        charts={
            "labels": [shortened(f"{each['number']}  {each['prompt']}") for each in rows],
            "shares": {
                "all": [each.overall.percent for each in figures],
                **{
                    language: [each.share(language).percent for each in figures]
                    for language in LANGUAGES
                },
            },
            "scores": list(histogram.counts),
            "participants": list(histogram.counts.values()),
        },
    )


def row(number: int, figures: Figures) -> dict[str, Any]:
    question = figures.question
    return {
        "number": number,
        "prompt": statement(question, "en") if question else f"{figures.key} (no longer asked)",
        "type": TYPE_NAMES[question.type] if question else "",
        "shares": [
            (language, name, share, f"of {share.answered:,}")
            for language, name, share in [
                ("all", "All", figures.overall),
                *((each, LANGUAGE_NAMES[each], figures.share(each)) for each in LANGUAGES),
            ]
        ],
        "wrong": [
            (language, LANGUAGE_NAMES[language], figures.wrong[language])
            for language in LANGUAGES
            if language in figures.wrong
        ],
        "wrong_languages": list(figures.wrong),
    }


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1].rstrip()}…"
