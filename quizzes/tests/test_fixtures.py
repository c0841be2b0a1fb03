"""The demo quizzes: real ones, whole in every language, loaded once and then left to people."""

import json
import re
from collections import Counter
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from common import demo
from quizzes import authoring
from quizzes.document import LANGUAGES, read_document
from quizzes.grading import correct_answer
from quizzes.models import Question, Quiz, QuizVersion
from quizzes.sheet import Sheet, question_id
from quizzes.tests import document
from quizzes.tests.factories import Json, answer, complete, start

FILES = sorted(Path(settings.FIXTURE_DIRS[0]).glob("*.json"))


def rows(file: Path, model: str) -> list[Json]:
    found: list[Json] = json.loads(file.read_text())
    return [row for row in found if row["model"] == f"quizzes.{model}"]


QUIZ_FILES = [file for file in FILES if rows(file, "quiz")]


def content(file: Path) -> Json:
    found: Json = rows(file, "quizversion")[0]["fields"]["document"]
    return found


def load_all() -> None:
    for file in FILES:
        call_command("loaddata", str(file), verbosity=0)


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Quiz, QuizVersion, Question)]


def test_there_are_at_least_six_quizzes() -> None:
    assert len(QUIZ_FILES) >= 6


@pytest.mark.parametrize("file", QUIZ_FILES, ids=lambda file: file.stem)
def test_each_is_complete_in_every_language(file: Path) -> None:
    assert authoring.report(read_document(content(file))) == []
    assert set(rows(file, "quizversion")[0]["fields"]["languages"]) == set(LANGUAGES)


@pytest.mark.parametrize("file", QUIZ_FILES, ids=lambda file: file.stem)
def test_each_has_eight_questions_of_all_types_with_explanations(file: Path) -> None:
    questions = read_document(content(file)).questions
    kinds = Counter(question.type for question in questions)
    assert len(questions) >= 8
    assert set(kinds) == {"single_choice", "multiple_choice", "fill_gap", "matching"}
    for question in questions:
        assert set(question.explanation) == set(LANGUAGES)


@pytest.mark.parametrize("file", QUIZ_FILES, ids=lambda file: file.stem)
def test_no_language_repeats_anothers_sentences(file: Path) -> None:
    # A short name or a figure may be the same; a sentence that is was not translated.
    for text in sentences(content(file)):
        assert len(set(text.values())) == len(LANGUAGES), text["en"]


def sentences(node: Any) -> list[dict[str, str]]:
    if isinstance(node, list):
        return [found for inner in node for found in sentences(inner)]
    if not isinstance(node, dict):
        return []
    if set(node) == set(LANGUAGES):
        return [node] if isinstance(node["en"], str) and node["en"].count(" ") >= 4 else []
    return [found for inner in node.values() for found in sentences(inner)]


@pytest.mark.parametrize("file", QUIZ_FILES, ids=lambda file: file.stem)
def test_the_ids_are_those_of_salt_and_key(file: Path) -> None:
    salt = UUID(rows(file, "quiz")[0]["fields"]["salt"]).bytes
    keys = [question["key"] for question in content(file)["questions"]]
    assert {row["pk"]: row["fields"]["key"] for row in rows(file, "question")} == {
        str(question_id(salt, key)): key for key in keys
    }


def test_no_two_quizzes_share_a_salt() -> None:
    salts = [rows(file, "quiz")[0]["fields"]["salt"] for file in QUIZ_FILES]
    assert len(set(salts)) == len(salts)


@pytest.mark.django_db
def test_loading_them_twice_changes_nothing() -> None:
    load_all()
    before = everything()
    load_all()
    assert everything() == before
    assert Quiz.objects.offered().count() == len(QUIZ_FILES)


@pytest.mark.django_db
def test_importing_what_was_loaded_changes_nothing(tmp_path: Path) -> None:
    load_all()
    before = everything()
    for file in QUIZ_FILES:
        path = tmp_path / file.name
        path.write_text(json.dumps(content(file)))
        call_command("import_quiz", str(path), "--publish", stdout=StringIO())
    assert everything() == before


def loaded_files() -> list[Path]:
    """Besides them there are the parts that apps make of today."""
    names = set(demo.load())
    return [file for file in FILES if file.name in names]


@pytest.mark.django_db
def test_what_people_changed_since_is_left_alone_by_the_next_start() -> None:
    assert loaded_files() == FILES
    file = QUIZ_FILES[0]
    edited = content(file) | {"title": dict.fromkeys(LANGUAGES, "Edited")}
    authoring.import_document(data=edited, publish_at=timezone.now())
    authoring.archive(quiz=Quiz.objects.all()[1], now=timezone.now())
    before = everything()
    assert list(demo.load()) == []
    assert everything() == before


@pytest.mark.django_db
@pytest.mark.parametrize("publish_at", [None, timezone.now()], ids=["draft", "published"])
def test_a_quiz_of_that_name_that_people_made_before_the_first_start_stays(
    publish_at: datetime | None,
) -> None:
    own = document(slug=content(QUIZ_FILES[0])["slug"])
    authoring.import_document(data=own, publish_at=publish_at)
    before = everything()
    assert len(loaded_files()) == len(FILES) - 1
    assert QuizVersion.objects.get(quiz__slug=own["slug"]).document == own
    assert everything()[0][: len(before[0])] == before[0]
    assert list(demo.load()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("file", QUIZ_FILES, ids=lambda file: file.stem)
def test_each_can_be_taken_all_right_through_the_api(
    file: Path, language: str, alice: APIClient
) -> None:
    call_command("loaddata", str(file), verbosity=0)
    slug = content(file)["slug"]
    attempt = start(alice, slug, language=language)
    sheets = {str(sheet.id): sheet for sheet in sheets_of(slug, language)}
    for question in attempt["questions"]:
        sheet = sheets[question["id"]]
        body = sheet.written(correct_answer(sheet.question, sheet.language))
        assert answer(alice, attempt, question, body).status_code == 200
    result = complete(alice, attempt).json()
    assert (result["correct"], result["score"]) == (result["total"], 1.0)
    assert result["reward"]["amount"] == 100 * result["total"]
    assert all(each["explanation"] for each in result["questions"])


def sheets_of(slug: str, language: Any) -> list[Sheet]:
    quiz = Quiz.objects.select_related("published").get(slug=slug)
    assert quiz.published is not None
    return quiz.published.sheets(quiz.salt, language)


@pytest.mark.parametrize("file", QUIZ_FILES, ids=lambda file: file.stem)
def test_texts_have_no_loose_ends(file: Path) -> None:
    for text in texts(content(file)):
        assert text == text.strip()
        assert not re.search(r"  |\bTODO\b|\bLorem\b", text), text


def texts(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [found for each in inner for found in texts(each)]
