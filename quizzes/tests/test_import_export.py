"""import_quiz and export_quiz: whole or not at all, the same twice is nothing, versions stay."""

import json
import subprocess
import sys
from codecs import BOM_UTF8
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from quizzes import authoring
from quizzes.document import LANGUAGES
from quizzes.models import Question, Quiz, QuizVersion
from quizzes.tests import changed, document, fill_gap, single_choice, words
from quizzes.tests.factories import Json, take

pytestmark = pytest.mark.django_db

# The document of the contract, as it stands there but for the texts.
CONTRACT = {
    "slug": "stock-basics",
    "feedback": "deferred",
    "title": {"en": "Stocks", "tr": "Hisse"},
    "description": {"en": "About", "tr": "Hakkında"},
    "questions": [
        {
            "key": "q1",
            "type": "single_choice",
            "prompt": {"en": "Which?"},
            "explanation": {"en": "So"},
            "options": [
                {"key": "a", "text": {"en": "This"}, "correct": True},
                {"key": "b", "text": {"en": "That"}},
            ],
        },
        {
            "key": "q2",
            "type": "fill_gap",
            "text": {"en": "A {{1}} pays {{2}}."},
            "gaps": [
                {"key": "1", "accepted": {"en": ["bond"], "tr": ["tahvil"]}},
                {
                    "key": "2",
                    "options": [{"key": "x", "text": {"en": "interest"}, "correct": True}],
                },
            ],
        },
        {
            "key": "q3",
            "type": "matching",
            "prompt": {"en": "Match"},
            "pairs": [{"key": "p1", "left": {"en": "L"}, "right": {"en": "R"}}],
            "distractors": [{"key": "d1", "text": {"en": "D"}}],
        },
    ],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "quiz.json"


def import_quiz(file: Path, data: object, *options: str) -> None:
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    call_command("import_quiz", str(file), *options)


def test_a_byte_order_mark_is_no_part_of_the_document(file: Path) -> None:
    file.write_bytes(BOM_UTF8 + json.dumps(CONTRACT).encode())
    call_command("import_quiz", str(file))
    assert QuizVersion.objects.count() == 1


def export(slug: str = "stock-basics") -> str:
    out = StringIO()
    call_command("export_quiz", slug, stdout=out)
    return out.getvalue()


def versions() -> list[tuple[int, bool]]:
    return [(each.number, each.is_published) for each in QuizVersion.objects.order_by("number")]


def test_the_contracts_own_document_is_imported_published_and_taken(
    file: Path, alice: APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    import_quiz(file, CONTRACT, "--publish")
    assert "Complete: en." in capsys.readouterr().out
    quiz = alice.get("/api/v1/quizzes/stock-basics/?lang=tr").json()
    assert (quiz["language"], quiz["available_languages"]) == ("en", ["en"])
    assert [len(each.get("gaps", [])) for each in quiz["questions"]] == [0, 2, 0]


def test_a_new_document_is_a_draft_that_nobody_sees(
    file: Path, alice: APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    import_quiz(file, document())
    assert versions() == [(1, False)]
    assert alice.get("/api/v1/quizzes/").json()["results"] == []
    assert capsys.readouterr().out.startswith("stock-basics version 1 (draft): new.")


def test_importing_twice_changes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_quiz(file, document(), "--publish")
    before = everything()
    capsys.readouterr()
    for options in ((), ("--publish",)):
        import_quiz(file, document(), *options)
        told = capsys.readouterr().out
        assert told.startswith("stock-basics version 1 (published): unchanged.")
    assert everything() == before


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Quiz, QuizVersion, Question)]


def test_the_order_of_fields_and_white_space_change_nothing(file: Path) -> None:
    import_quiz(file, document())
    reordered = dict(reversed(document().items()))
    import_quiz(file, json.dumps(reordered, indent=4))
    assert versions() == [(1, False)]


def test_an_edited_document_is_a_new_draft_while_the_published_one_stays(
    file: Path, alice: APIClient
) -> None:
    import_quiz(file, document(), "--publish")
    import_quiz(file, document(title=words("Edited")))
    assert versions() == [(1, True), (2, False)]
    assert alice.get("/api/v1/quizzes/stock-basics/").json()["title"] == "Stocks [en]"
    import_quiz(file, document(title=words("Edited")), "--publish")
    assert versions() == [(1, True), (2, True)]
    assert alice.get("/api/v1/quizzes/stock-basics/").json()["title"] == "Edited [en]"


def test_a_draft_can_be_published_later_without_another_version(file: Path) -> None:
    import_quiz(file, document())
    import_quiz(file, document(), "--publish")
    assert versions() == [(1, True)]


def test_going_back_to_an_older_document_is_a_new_version(file: Path) -> None:
    import_quiz(file, document(), "--publish")
    import_quiz(file, document(title=words("Edited")), "--publish")
    import_quiz(file, document(), "--publish")
    assert versions() == [(1, True), (2, True), (3, True)]
    assert Quiz.objects.get().published == QuizVersion.objects.get(number=3)


def test_an_attempt_taken_before_an_import_is_not_touched_by_it(
    file: Path, alice: APIClient
) -> None:
    import_quiz(file, document(feedback="deferred"), "--publish")
    take(alice)
    before = alice.get("/api/v1/attempts/").json()
    import_quiz(file, document(title=words("Edited"), feedback="deferred"), "--publish")
    assert alice.get("/api/v1/attempts/").json() == before


# Refused whole


def without(data: Json, *steps: Any) -> Json:
    data = deepcopy(data)
    node: Any = data
    for step in steps[:-1]:
        node = node[step]
    del node[steps[-1]]
    return data


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("{", "line 1 column 2"),
        ("", "line 1 column 1"),
        ('{"slug": NaN}', "line 1 column 10"),
        ('{"slug": "a", "slug": "b"}', "/slug"),
        ('{"title": "a\\u0000"}', "/title"),
        ('"text"', "/"),
        ("[]", "/"),
        ("null", "/"),
        (without(document(), "slug"), "/slug"),
        (without(document(), "title"), "/title"),
        (without(document(), "questions"), "/questions"),
        (without(document(), "questions", 1, "key"), "/questions/1/key"),
        (without(document(), "questions", 1, "type"), "/questions/1/type"),
        (without(document(), "questions", 0, "options"), "/questions/0/options"),
        (document(unknown=1), "/unknown"),
        (document(slug="no slug"), "/slug"),
        (document(feedback="later"), "/feedback"),
        (document(questions=[]), "/questions"),
        (changed(document(), ("questions", 2, "gaps", 0, "accepted"), {}), "/questions/2/gaps/0"),
        (changed(document(), ("questions", 3, "pairs", 1, "left"), "x"), "/questions/3/pairs/1"),
        (changed(document(), ("questions", 0, "options", 0, "correct"), True), "/questions/0"),
        (changed(document(), ("title", "xx"), "Text"), "/title/xx"),
    ],
)
def test_a_bad_document_is_refused_whole_and_the_place_is_named(
    file: Path, data: Any, place: str
) -> None:
    with pytest.raises(CommandError) as refused:
        import_quiz(file, data, "--publish")
    assert place in str(refused.value)
    assert str(file) in str(refused.value)
    assert not Quiz.objects.exists()


def test_a_bad_document_leaves_the_quiz_as_it_was(file: Path) -> None:
    import_quiz(file, document(), "--publish")
    before = everything()
    with pytest.raises(CommandError):
        import_quiz(file, document(title={"en": 5}), "--publish")
    assert everything() == before


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(CommandError, match=r"quiz\.json"):
        call_command("import_quiz", str(file))


# Languages


def test_an_incomplete_language_is_reported_and_not_offered(
    file: Path, alice: APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    data = document()
    del data["questions"][0]["options"][1]["text"]["de"]
    del data["questions"][2]["gaps"][0]["accepted"]["tr"]
    import_quiz(file, data, "--publish")
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("new, published now. Complete: en es pt.")
    assert told[1:] == [
        "  missing de: /questions/0/options/1/text: missing",
        "  missing tr: /questions/2/gaps/0/accepted: no accepted answer",
    ]
    quiz = alice.get("/api/v1/quizzes/stock-basics/?lang=tr").json()
    assert quiz["available_languages"] == ["en", "es", "pt"]


def incomplete() -> Json:
    """Each language lacks something, and another thing."""
    data = document(fill_gap())
    for name, places in zip(LANGUAGES, ("title", "title", "text", "text", "text"), strict=True):
        node = data if places == "title" else data["questions"][0]
        del node[places][name]
    return data


def test_without_a_complete_language_it_is_kept_as_a_draft_and_not_published(file: Path) -> None:
    import_quiz(file, incomplete())
    with pytest.raises(CommandError, match="no language is complete") as refused:
        import_quiz(file, incomplete(), "--publish")
    for language in LANGUAGES:
        assert f"{language}: /" in str(refused.value)
    assert versions() == [(1, False)]


def test_publishing_at_once_without_a_complete_language_writes_nothing(file: Path) -> None:
    with pytest.raises(CommandError):
        import_quiz(file, incomplete(), "--publish")
    assert not Quiz.objects.exists()


def test_what_is_missing_can_be_asked_for(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = document()
    import_quiz(file, data)
    capsys.readouterr()
    call_command("check_quiz")
    assert "Every language" in capsys.readouterr().out
    del data["questions"][3]["pairs"][2]["right"]["pt"]
    import_quiz(file, data)
    capsys.readouterr()
    with pytest.raises(CommandError, match="1 place"):
        call_command("check_quiz", "stock-basics")
    assert capsys.readouterr().out == ("stock-basics pt: /questions/3/pairs/2/right: missing\n")
    with pytest.raises(CommandError, match="no-such-quiz"):
        call_command("check_quiz", "no-such-quiz")


# Export


@pytest.mark.parametrize("data", [CONTRACT, document(), incomplete()], ids=["a", "b", "c"])
def test_what_is_exported_is_what_was_imported(file: Path, data: Json) -> None:
    import_quiz(file, data)
    assert json.loads(export()) == data


def test_exporting_and_importing_changes_nothing_however_often(file: Path) -> None:
    import_quiz(file, CONTRACT, "--publish")
    before = everything()
    for _ in range(3):
        text = export()
        import_quiz(file, text, "--publish")
        assert export() == text
    assert everything() == before


def test_an_export_can_be_imported_elsewhere(file: Path) -> None:
    import_quiz(file, document(), "--publish")
    text = export()
    with transaction.atomic():
        import_quiz(file, json.loads(text) | {"slug": "elsewhere"}, "--publish")
    assert json.loads(export("elsewhere")) == json.loads(text) | {"slug": "elsewhere"}


def test_an_export_is_readable_text(file: Path) -> None:
    import_quiz(file, document(title={"en": "“Stocks”", "tr": "Hisse senedi: ığüşöç"}))
    assert "Hisse senedi: ığüşöç" in export()
    assert "“Stocks”" in export()
    assert "\\u" not in export()


def test_an_older_version_can_be_exported(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_quiz(file, document(), "--publish")
    import_quiz(file, document(title=words("Edited")))
    capsys.readouterr()
    call_command("export_quiz", "stock-basics", "--version-number", "1")
    assert json.loads(capsys.readouterr().out) == document()


@pytest.mark.parametrize("arguments", [["none"], ["stock-basics", "--version-number", "7"]])
def test_what_does_not_exist_cannot_be_exported(file: Path, arguments: list[str]) -> None:
    import_quiz(file, document())
    with pytest.raises(CommandError, match="no such quiz"):
        call_command("export_quiz", *arguments)


# What was published


@pytest.fixture
def published() -> QuizVersion:
    imported = authoring.import_document(data=document(), publish_at=timezone.now())
    return QuizVersion.objects.get(pk=imported.version.pk)


@pytest.mark.parametrize(
    "change",
    [
        {"document": {}},
        {"languages": ["en"]},
        {"published_at": None},
        {"published_at": timezone.now()},
    ],
    ids=str,
)
def test_the_database_refuses_to_change_a_published_version(
    published: QuizVersion, change: Json
) -> None:
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        QuizVersion.objects.filter(pk=published.pk).update(**change)
    with pytest.raises(DatabaseError, match="Cannot delete"), transaction.atomic():
        QuizVersion.objects.filter(pk=published.pk)._raw_delete("default")
    assert QuizVersion.objects.get().document == document()


def test_the_database_refuses_to_publish_without_a_language() -> None:
    imported = authoring.import_document(data=incomplete())
    with pytest.raises(IntegrityError, match="has_language"), transaction.atomic():
        QuizVersion.objects.filter(pk=imported.version.pk).update(published_at=timezone.now())


def test_a_draft_may_still_change() -> None:
    imported = authoring.import_document(data=document())
    draft = QuizVersion.objects.filter(pk=imported.version.pk)
    assert draft.update(document=document(slug="x")) == 1
    assert draft.get().document == document(slug="x")


def test_a_question_is_registered_once_for_all_versions(file: Path) -> None:
    import_quiz(file, document(), "--publish")
    before = set(Question.objects.values_list("pk", "key"))
    import_quiz(file, document(single_choice(), single_choice(key="q-new")), "--publish")
    after = set(Question.objects.values_list("pk", "key"))
    assert before < after
    assert {key for _, key in after - before} == {"q-new"}


# As a user types it


@pytest.mark.django_db(transaction=True)
def test_the_commands_work_from_a_shell(file: Path) -> None:
    file.write_text(json.dumps(CONTRACT))
    database = settings.DATABASES["default"]
    url = f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}"
    for command in (
        ["import_quiz", str(file), "--publish"],
        ["export_quiz", "stock-basics"],
        ["import_quiz", "/dev/stdin"],
    ):
        ended = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env={"DATABASE_URL": url, "PATH": "", "DATA_DIR": str(settings.DATA_DIR)},
            input=json.dumps(CONTRACT),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
    assert versions() == [(1, True)]


def test_a_bad_document_ends_the_command_with_1(file: Path) -> None:
    file.write_text("{")
    ended = subprocess.run(
        [sys.executable, "manage.py", "import_quiz", str(file)],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "line 1 column 2" in ended.stderr
    assert "Traceback" not in ended.stderr
