"""Publishing a version after seeing what it changes, and taking a quiz out of the offer."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.admin import ModelAdmin

from common.back_office import expect
from quizzes import authoring
from quizzes.admin.page import PUBLISH, chosen_version, quiz_page, readable, seen_quiz
from quizzes.changes import changes
from quizzes.document import DocumentRefused, Language
from quizzes.models import Quiz, QuizVersion
from quizzes.wording import LANGUAGE_NAMES, place, statement


def publish_page(
    admin: ModelAdmin, request: HttpRequest, quiz_id: int, number: int | None = None
) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    expect(request.user.has_perm(PUBLISH))
    version = chosen_version(quiz, number)
    if request.method == "POST" and publish(admin, request, quiz, version):
        return redirect("admin:quizzes_quiz_change", quiz.pk)
    document = readable(version)
    before = readable(quiz.published) if quiz.published else None
    context: dict[str, Any] = {"document": document}
    if document:
        found = changes(before, quiz.published.languages if quiz.published else [], document)
        context |= {
            "changes": found,
            "added": [statement(question, "en") for question in found.added],
            "changed": [(statement(question, "en"), parts) for question, parts in found.changed],
            "removed": [statement(question, "en") for question in found.removed],
            "incomplete": missing_by_language(authoring.missing(document)),
        }
    return quiz_page(
        admin,
        request,
        quiz,
        "publish",
        title=f"Publish version {version.number}",
        version=version,
        number_text=str(version.number),
        seen=seen(quiz, version),
        is_offered=quiz.published_id == version.pk,
        **context,
    )


def publish(admin: ModelAdmin, request: HttpRequest, quiz: Quiz, version: QuizVersion) -> bool:
    try:
        if request.POST.get("seen") != seen(quiz, version):
            raise authoring.DraftChanged("Somebody else changed this quiz in the meantime.")
        with transaction.atomic():
            authoring.publish(version=version, now=timezone.now())
            admin.log_change(request, quiz, f"Version {version.number} published.")
    except authoring.DraftChanged as changed:
        messages.warning(request, f"{changed} Nothing was published: look at it once more.")
        return False
    except (authoring.NotPublishable, DocumentRefused):  # the page says what is missing
        messages.error(request, "Nothing was published.")
        return False
    messages.success(request, f"Version {version.number} of {quiz.slug} is published.")
    return True


def seen(quiz: Quiz, version: QuizVersion) -> str:
    """What the confirmation spoke of: this text, in place of that version."""
    return f"{version.pk}:{version.digest}:{quiz.published_id}"


def missing_by_language(missing: dict[Language, list[str]]) -> list[tuple[str, list[str]]]:
    return [
        (LANGUAGE_NAMES[language], [in_words(problem) for problem in problems])
        for language, problems in missing.items()
        if problems
    ]


def in_words(problem: str) -> str:
    pointer, _, detail = problem.partition(": ")
    return f"{place(pointer)}: {detail}".capitalize()


def archive_page(admin: ModelAdmin, request: HttpRequest, quiz_id: int) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    expect(request.user.has_perm(PUBLISH))
    if request.method == "POST":
        is_out = request.POST.get("archived") == "yes"
        with transaction.atomic():
            authoring.archive(quiz=quiz, now=timezone.now() if is_out else None)
            admin.log_change(request, quiz, "Archived." if is_out else "Offered again.")
        messages.success(
            request,
            f"{quiz.slug} is archived." if is_out else f"{quiz.slug} is no longer archived.",
        )
        return redirect("admin:quizzes_quiz_change", quiz.pk)
    title = f"Put {quiz.slug} back" if quiz.is_archived else f"Archive {quiz.slug}"
    return quiz_page(admin, request, quiz, "archive", title=title)
