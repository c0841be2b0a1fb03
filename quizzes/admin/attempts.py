"""Attempts and rewards, to look at only."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from common.back_office import DayRange, LongList, LookOnly, OfUsers, link
from quizzes.document import LANGUAGES, AnyQuestion, Language, read_document
from quizzes.models import Attempt, QuestionReward, Quiz
from quizzes.wording import LANGUAGE_NAMES, Part, given, solution, statement


class LanguageFilter(admin.SimpleListFilter):
    title = "language"
    parameter_name = "language"

    def lookups(
        self, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]"
    ) -> Iterable[tuple[str, str]]:
        return [(language, LANGUAGE_NAMES[language]) for language in LANGUAGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Attempt]) -> QuerySet[Attempt]:
        return queryset.filter(language=self.value()) if self.value() else queryset


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(
        self, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]"
    ) -> Iterable[tuple[str, str]]:
        return [("completed", "Completed"), ("in_progress", "In progress")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Attempt]) -> QuerySet[Attempt]:
        match self.value():
            case "completed":
                return queryset.filter(completed_at__isnull=False)
            case "in_progress":
                return queryset.filter(completed_at=None)
        return queryset


@dataclass(frozen=True)
class Answered:
    """One question of an attempt in words; the verdict is the one given at completion."""

    statement: str
    given: list[Part]
    solution: list[Part]
    is_correct: bool | None
    score: Decimal | None


@admin.register(Attempt)
class AttemptAdmin(OfUsers, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = (
        "started",
        "user_id",
        "quiz_slug",
        "language_name",
        "status",
        "correct_of_total",
        "score",
    )
    list_filter = ("quiz", LanguageFilter, StatusFilter, ("started_at", DayRange))
    list_filter_submit = True
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "user_id",
        "quiz_version",
        "language_name",
        "status",
        "correct_of_total",
        "score",
        "started_at",
        "completed_at",
        "questions",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        found: QuerySet[Attempt] = super().get_queryset(request)
        return found.select_related("quiz", "version").defer("version__document")

    @admin.display(description="Quiz")
    def quiz_slug(self, attempt: Attempt) -> str:
        return attempt.quiz.slug

    @admin.display(description="Quiz")
    def quiz_version(self, attempt: Attempt) -> str:
        quiz = link(Quiz, attempt.quiz_id, attempt.quiz.slug)
        return format_html("{}, version {}", quiz, attempt.version.number)

    @admin.display(description="Language")
    def language_name(self, attempt: Attempt) -> str:
        return LANGUAGE_NAMES.get(cast("Language", attempt.language), attempt.language)

    @display(  # type: ignore[untyped-decorator]
        description="Status", label={"Completed": "success", "In progress": "info"}
    )
    def status(self, attempt: Attempt) -> str:
        return "Completed" if attempt.is_completed else "In progress"

    @admin.display(description="Correct")
    def correct_of_total(self, attempt: Attempt) -> str:
        return f"{attempt.correct} of {attempt.total}" if attempt.is_completed else "-"

    @admin.display(description="Started")
    def started(self, attempt: Attempt) -> str:
        return f"{attempt.started_at:%d %b %Y, %H:%M}"

    @admin.display(description="Questions")
    def questions(self, attempt: Attempt) -> str:
        return render_to_string(
            "admin/quizzes/attempt/questions.html", {"questions": answered(attempt)}
        )


def answered(attempt: Attempt) -> list[Answered]:
    language = cast("Language", attempt.language)
    grades = attempt.grades or {}

    def in_words(question: AnyQuestion) -> Answered:
        answer = attempt.answers.get(question.key)
        is_correct, score = grades.get(question.key, (None, None))
        return Answered(
            statement=statement(question, language),
            given=given(question, answer, language) if answer else [],
            solution=solution(question, language),
            is_correct=is_correct,
            score=score and Decimal(score),
        )

    return [in_words(question) for question in read_document(attempt.version.document).questions]


@admin.register(QuestionReward)
class QuestionRewardAdmin(OfUsers, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ("user_id", "quiz", "question", "amount", "of_attempt")
    list_select_related = ("question__quiz",)
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    fields = ("user_id", "quiz", "question", "amount", "of_attempt")
    readonly_fields = fields

    @admin.display(description="Quiz")
    def quiz(self, reward: QuestionReward) -> str:
        return reward.question.quiz.slug

    @admin.display(description="Attempt")
    def of_attempt(self, reward: QuestionReward) -> str:
        return link(Attempt, reward.attempt_id, reward.attempt_id)
