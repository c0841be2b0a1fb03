"""What every page about one quiz shares: who may see it, its versions, the frame around it."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from unfold.admin import ModelAdmin

from common.back_office import expect, own_page
from quizzes.document import LANGUAGES, Document, DocumentRefused, read_document
from quizzes.models import Quiz, QuizVersion
from quizzes.wording import LANGUAGE_NAMES, TYPE_NAMES

PUBLISH = "quizzes.publish_quiz"


def seen_quiz(admin: ModelAdmin, request: HttpRequest, quiz_id: int) -> Quiz:
    """The quiz, for whoever may look at quizzes. Raises PermissionDenied or Http404."""
    expect(admin.has_view_permission(request))
    return get_object_or_404(Quiz.objects.select_related("published"), pk=quiz_id)


def newest_version(quiz: Quiz) -> QuizVersion | None:
    return quiz.versions.order_by("-number").first()


def chosen_version(quiz: Quiz, number: str | int | None) -> QuizVersion:
    """The version of this number, without one the newest. Raises Http404."""
    if not number:
        version = newest_version(quiz)
    elif str(number).isdecimal():
        version = quiz.versions.filter(number=number).first()
    else:
        version = None
    if version is None:
        raise Http404("There is no such version.")
    return version


def readable(version: QuizVersion) -> Document | None:
    """None when today's rules refuse what is stored, which may have come in by other ways."""
    try:
        return read_document(version.document)
    except DocumentRefused:
        return None


def frame(admin: ModelAdmin, request: HttpRequest, quiz: Quiz | None, page: str) -> dict[str, Any]:
    """What the navigation above every page of a quiz needs; `page` marks the tab."""
    newest = newest_version(quiz) if quiz else None
    draft = newest if newest and not newest.is_published else None
    return {
        "quiz": quiz,
        "page": page,
        "draft": draft,
        "draft_label": f"Version {draft.number} is a draft" if draft else "",
        "published_label": f"Version {quiz.published.number} published"
        if quiz and quiz.published
        else "",
        "languages": [(language, LANGUAGE_NAMES[language]) for language in LANGUAGES],
        "types": list(TYPE_NAMES.items()),
        "may_change": admin.has_change_permission(request, quiz),
        "may_see_attempts": request.user.has_perm("quizzes.view_attempt"),
        "may_publish": request.user.has_perm(PUBLISH),
    }


def quiz_page(
    admin: ModelAdmin,
    request: HttpRequest,
    quiz: Quiz | None,
    name: str,
    *,
    title: str,
    **context: Any,
) -> HttpResponse:
    """`name` is the template's."""
    return own_page(
        admin,
        request,
        f"admin/quizzes/quiz/{name}.html",
        title=title,
        original=quiz,
        **frame(admin, request, quiz, name),
        **context,
    )
