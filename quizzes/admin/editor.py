"""The editor: one page that writes and translates a quiz's document."""

import json
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from common.back_office import expect
from common.parsers import parse_json
from common.problems import Problem
from quizzes import authoring
from quizzes.admin.page import chosen_version, newest_version, quiz_page, seen_quiz
from quizzes.document import DocumentRefused
from quizzes.forms import DocumentForm
from quizzes.models import Quiz, QuizVersion
from quizzes.wording import plainly

Faults = list[dict[str, str]]


def new_quiz(admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    expect(admin.has_add_permission(request))
    form, faults = DocumentForm(request.POST or None), Faults()
    if form.is_valid():
        try:
            with transaction.atomic():
                data = parse_json(form.cleaned_data["document"].encode())
                version = authoring.save_draft(data=data, based_on=None)
                admin.log_addition(request, version.quiz, "Written.")
        except authoring.DraftChanged as taken:
            faults = [{"pointer": "/slug", "code": "taken", "detail": str(taken)}]
        except (DocumentRefused, Problem) as refused:
            faults = faults_of(refused)
        else:
            return saved(request, version)
    document = {"slug": "", "title": {}, "questions": []}
    return editor_page(admin, request, None, document, form=form, faults=faults, may_save=True)


def edit_quiz(admin: ModelAdmin, request: HttpRequest, quiz_id: int) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    may_save = admin.has_change_permission(request, quiz)
    form, faults, is_outdated = DocumentForm(request.POST or None), Faults(), False
    if request.method == "POST":
        expect(may_save)
    if form.is_valid():
        try:
            with transaction.atomic():
                data = parse_json(form.cleaned_data["document"].encode())
                based_on = beginning(quiz, form)
                version = authoring.save_draft(data=data, based_on=based_on)
                if token(version) != token(based_on):
                    admin.log_change(request, quiz, f"Version {version.number} saved as a draft.")
        except authoring.DraftChanged:
            is_outdated = True
        except (DocumentRefused, Problem) as refused:
            faults = faults_of(refused)
        else:
            return saved(request, version)
    newest = newest_version(quiz)
    return editor_page(
        admin,
        request,
        quiz,
        newest.document if newest else {"slug": quiz.slug, "title": {}, "questions": []},
        version=newest,
        form=form,
        faults=faults,
        is_outdated=is_outdated,
        may_save=may_save,
    )


def see_version(admin: ModelAdmin, request: HttpRequest, quiz_id: int, number: int) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    version = chosen_version(quiz, number)
    return editor_page(
        admin,
        request,
        quiz,
        version.document,
        version=version,
        form=DocumentForm(),
        faults=[],
        may_save=False,
        is_history=True,
    )


def token(version: QuizVersion | None) -> str:
    """Names one text of one version."""
    return f"{version.pk}:{version.digest}" if version else ""


def beginning(quiz: Quiz, form: DocumentForm) -> QuizVersion | None:
    """The version as the author saw it. Raises DraftChanged when there is no such any more."""
    named = form.cleaned_data["instead"] or form.cleaned_data["began"]
    if not named:
        return None
    pk, _, digest = named.partition(":")
    version = quiz.versions.filter(pk=pk).first() if pk.isdecimal() else None
    if version is None:
        raise authoring.DraftChanged("The version that this text began from is gone.")
    version.digest = digest
    return version


def saved(request: HttpRequest, version: QuizVersion) -> HttpResponse:
    if version.is_published:
        messages.info(request, f"Version {version.number} is published and is just like this.")
    else:
        messages.success(request, f"Version {version.number} of {version.quiz.slug} is saved.")
    page = "preview" if "_preview" in request.POST else "change"
    return redirect(f"admin:quizzes_quiz_{page}", version.quiz_id)


def faults_of(refused: DocumentRefused | Problem) -> Faults:
    if isinstance(refused, DocumentRefused):
        return [{**fault, "detail": plainly(fault)} for fault in refused.faults]
    whole = {"pointer": "", "code": refused.code, "detail": refused.detail}
    return list(refused.extra.get("errors", [whole]))


def editor_page(
    admin: ModelAdmin,
    request: HttpRequest,
    quiz: Quiz | None,
    document: Any,
    *,
    form: DocumentForm,
    version: QuizVersion | None = None,
    is_history: bool = False,
    **context: Any,
) -> HttpResponse:
    """What was posted stays on the page as it was sent, whatever became of it."""
    kept = form.data if form.is_bound else {}
    return quiz_page(
        admin,
        request,
        quiz,
        "editor",
        title=f"Version {version.number}" if version else "New quiz",
        version=version,
        text=kept.get("document") or json.dumps(document, ensure_ascii=False),
        is_refused=form.is_bound,
        began=kept.get("began", token(version)),
        instead=token(version),
        is_history=is_history,
        **context,
    )
