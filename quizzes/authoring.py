"""Every write of an author's: importing, drafting, publishing and archiving quizzes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from quizzes.document import LANGUAGES, Document, DocumentRefused, Language, read_document
from quizzes.models import Question, Quiz, QuizVersion
from quizzes.sheet import question_id


class NotPublishable(ValueError):
    """No language is complete; the text names what each one lacks."""


class DraftChanged(ValueError):
    """Somebody else saved this draft, or published it, in between."""


@dataclass(frozen=True)
class Imported:
    version: QuizVersion
    is_new: bool
    is_published_now: bool


def import_document(*, data: object, publish_at: datetime | None = None) -> Imported:
    """Make the document the quiz's newest version; the same one again changes nothing.

    Raises DocumentRefused or NotPublishable, and then nothing was written.
    """
    document = read_document(data)
    assert isinstance(data, dict)
    with transaction.atomic():
        quiz = locked_quiz(document.slug)
        latest = quiz.versions.order_by("-number").first()
        is_new = latest is None or latest.document != data
        version = add_version(quiz, data) if latest is None or is_new else latest
        is_published_now = publish_at is not None and quiz.published_id != version.pk
        if publish_at is not None and is_published_now:
            publish(version=version, now=publish_at)
    return Imported(version, is_new, is_published_now)


def save_draft(*, data: dict[str, Any], based_on: QuizVersion | None) -> QuizVersion:
    """Save an author's work: into the draft it began from, or as a new draft after a published
    version. Raises DocumentRefused, or DraftChanged when `based_on` is no longer what it was."""
    document = read_document(data)
    with transaction.atomic():
        if based_on is None:
            quiz = locked_quiz(document.slug)
            if quiz.versions.exists():
                raise DraftChanged(f"There is a quiz {document.slug} already.")
            return add_version(quiz, data)
        quiz = locked_quiz(based_on.quiz.slug)
        if document.slug != quiz.slug:
            raise DocumentRefused(
                [{"pointer": "/slug", "code": "fixed", "detail": "A quiz keeps its slug."}]
            )
        latest = quiz.versions.order_by("-number")[0]
        if (latest.pk, latest.digest) != (based_on.pk, based_on.digest):
            raise DraftChanged("Somebody else changed this quiz in the meantime.")
        if latest.document == data:
            return latest
        if latest.is_published:
            return add_version(quiz, data)
        latest.document = data
        latest.save(update_fields=["document"])
        latest.refresh_from_db()
    return latest


def publish(*, version: QuizVersion, now: datetime) -> None:
    """Offer this version from now on, in the languages that are complete. Attempts under way
    finish on theirs. Raises NotPublishable, or DraftChanged when it is no longer as given."""
    with transaction.atomic():
        quiz = locked_quiz(version.quiz.slug)
        given, version = version, QuizVersion.objects.select_for_update().get(pk=version.pk)
        if version.digest != given.digest:
            raise DraftChanged("Somebody else changed this draft in the meantime.")
        document = read_document(version.document)
        languages = document.complete_languages()
        if not languages:
            raise NotPublishable("\n".join(report(document)))
        if not version.is_published:
            version.languages = list(languages)
            version.published_at = now
            version.save(update_fields=["languages", "published_at"])
        Question.objects.bulk_create(
            [
                Question(id=question_id(quiz.salt.bytes, each.key), quiz=quiz, key=each.key)
                for each in document.questions
            ],
            ignore_conflicts=True,
        )
        quiz.published = version
        quiz.save(update_fields=["published"])


def archive(*, quiz: Quiz, now: datetime | None) -> None:
    """Take the quiz out of the offer, or with None put it back; attempts under way go on."""
    Quiz.objects.filter(pk=quiz.pk).update(archived_at=now)


def report(document: Document) -> list[str]:
    """Every missing translation, accepted answer or gap, per language; a line each."""
    return [
        f"{language}: {problem}"
        for language, problems in missing(document).items()
        for problem in problems
    ]


def missing(document: Document) -> dict[Language, list[str]]:
    return {language: document.problems(language) for language in LANGUAGES}


def locked_quiz(slug: str) -> Quiz:
    Quiz.objects.bulk_create([Quiz(slug=slug)], ignore_conflicts=True)
    return Quiz.objects.select_for_update().get(slug=slug)


def add_version(quiz: Quiz, data: dict[str, Any]) -> QuizVersion:
    last = quiz.versions.aggregate(last=Max("number"))["last"] or 0
    version = QuizVersion.objects.create(quiz=quiz, number=last + 1, document=data)
    version.refresh_from_db()
    return version
