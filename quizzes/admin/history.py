"""A quiz's versions, and documents going out and coming in as files."""

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
from quizzes.admin.editor import faults_of
from quizzes.admin.page import chosen_version, quiz_page, readable, seen_quiz
from quizzes.document import DocumentRefused
from quizzes.forms import ImportForm
from quizzes.models import Quiz, QuizVersion
from quizzes.wording import place


def versions_page(admin: ModelAdmin, request: HttpRequest, quiz_id: int) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    versions = quiz.versions.defer("document").order_by("-number")
    return quiz_page(admin, request, quiz, "versions", title="Versions", versions=versions)


def export_version(
    admin: ModelAdmin, request: HttpRequest, quiz_id: int, number: int
) -> HttpResponse:
    quiz = seen_quiz(admin, request, quiz_id)
    version = chosen_version(quiz, number)
    name = f"{quiz.slug}-v{version.number}.json"
    return HttpResponse(
        json.dumps(as_written(version), ensure_ascii=False, indent=1) + "\n",
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def as_written(version: QuizVersion) -> Any:
    """In the order in which authors write, which jsonb does not keep."""
    document = readable(version)
    return document.model_dump(mode="json", exclude_unset=True) if document else version.document


def import_page(admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    expect(admin.has_import_permission(request))
    form = ImportForm(request.POST or None, request.FILES or None)
    faults: list[dict[str, str]] = []
    if form.is_valid():
        try:
            with transaction.atomic():
                imported = authoring.import_document(data=parse_json(form.cleaned_data["file"]))
                expect_allowed(admin, request, imported)
                if imported.is_new:
                    told = f"Version {imported.version.number} imported."
                    admin.log_change(request, imported.version.quiz, told)
        except (DocumentRefused, Problem) as refused:
            faults = [{**fault, "place": place(fault["pointer"])} for fault in faults_of(refused)]
        else:
            return done(request, imported)
    return quiz_page(admin, request, None, "import", title="Import", form=form, faults=faults)


def expect_allowed(admin: ModelAdmin, request: HttpRequest, imported: authoring.Imported) -> None:
    """Inside the transaction: a file that its sender may not write leaves nothing behind."""
    if imported.is_new and imported.version.number == 1:
        expect(admin.has_add_permission(request))
    else:
        expect(admin.has_change_permission(request, imported.version.quiz))


def done(request: HttpRequest, imported: authoring.Imported) -> HttpResponse:
    quiz: Quiz = imported.version.quiz
    if imported.is_new:
        messages.success(
            request, f"{quiz.slug} is imported as version {imported.version.number}, a draft."
        )
    else:
        messages.info(request, f"{quiz.slug} has exactly this document already.")
    return redirect("admin:quizzes_quiz_change", quiz.pk)
