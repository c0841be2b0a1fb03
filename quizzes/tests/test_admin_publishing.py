"""Previewing, publishing, archiving and importing in the admin."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from quizzes import authoring
from quizzes.models import Attempt, Quiz, QuizVersion
from quizzes.tests import document, fill_gap, matching, single_choice, typed_gap, words
from quizzes.tests.factories import publish, right
from quizzes.tests.staff import QUIZZES, newest, staff, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def quiz():
    return authoring.save_draft(data=document(), based_on=None).quiz


# Previewing


def filled_in(page, body_of=right):
    """What the preview's form would post, with the right answers."""
    posted = {"seed": page.context["seed"]}
    for each in page.context["tried"]:
        match body_of(each.served):
            case {"option": option}:
                posted[each.served["id"]] = option
            case {"options": options}:
                posted[each.served["id"]] = options
            case {"gaps": parts} | {"pairs": parts}:
                posted |= {f"{each.served['id']}:{part}": given for part, given in parts.items()}
    return posted


def test_a_preview_grades_as_a_learner_would_be_graded(admin_client, quiz):
    url = url_of(quiz, "preview/?lang=tr")
    posted = filled_in(admin_client.get(url))
    text = admin_client.post(url, posted).content.decode()
    assert "4 of 4 right" in text
    assert "400 coins" in text
    assert "Because of this [tr]" in text

    (gap,) = [name for name in posted if name.endswith(":1")]
    posted[gap] = "<script>alert(1)</script>"
    page = admin_client.post(url, posted)
    text = page.content.decode()
    assert "3 of 4 right" in text
    assert str(page.context["score"]) == "0.8750"
    assert "accepted tr / other tr" in text  # what would have been right
    assert "<script>alert(1)" not in text


def test_a_preview_keeps_its_order_and_what_was_typed(admin_client, quiz):
    url = url_of(quiz, "preview/")
    page = admin_client.get(url)
    again = admin_client.post(url, filled_in(page))
    served = [each.served for each in page.context["tried"]]
    assert [each.served for each in again.context["tried"]] == served
    assert 'value="accepted en"' in again.content.decode()


def test_a_preview_writes_nothing(admin_client, quiz):
    url = url_of(quiz, "preview/")
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(url, filled_in(admin_client.get(url)))
    written = [q["sql"] for q in captured if not q["sql"].lstrip().startswith("SELECT")]
    assert [sql for sql in written if "SAVEPOINT" not in sql] == []
    assert not Attempt.objects.exists()


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"seed": "x"},
        {"seed": "0" * 32, "unknown": "field"},
        {"all": "no such option"},
        {"all": "y" * 1001},
    ],
)
def test_a_preview_survives_any_answer(admin_client, quiz, nonsense):
    url = url_of(quiz, "preview/")
    if value := nonsense.pop("all", None):
        nonsense = dict.fromkeys(filled_in(admin_client.get(url)), value)
    page = admin_client.post(url, nonsense)
    assert page.status_code == 200
    assert page.context["right"] == 0
    assert page.context["unanswered"] == [1, 2, 3, 4]


def test_a_preview_is_in_complete_languages_only(admin_client):
    data = document(single_choice(prompt={"en": "Which?", "de": "Welche?"}), description={})
    quiz = authoring.save_draft(data=data, based_on=None).quiz
    assert admin_client.get(url_of(quiz, "preview/?lang=de")).context["language"] == "de"
    assert admin_client.get(url_of(quiz, "preview/?lang=tr")).context["language"] == "en"
    nothing = authoring.save_draft(data=document(slug="none", title={}), based_on=None).quiz
    page = admin_client.get(url_of(nothing, "preview/"))
    assert "No language is complete yet" in page.content.decode()
    assert admin_client.post(url_of(nothing, "preview/"), {"seed": "0" * 32}).status_code == 200


def test_the_newest_version_is_previewed_unless_another_is_asked_for(admin_client):
    quiz = publish(single_choice())
    authoring.save_draft(
        data=document(single_choice(), title=words("Newer")), based_on=newest(quiz)
    )
    assert "Newer" in admin_client.get(url_of(quiz, "preview/")).content.decode()
    assert "Newer" not in admin_client.get(url_of(quiz, "preview/?version=1")).content.decode()
    for number in ("9", "x", "-1", "9" * 30):
        page = url_of(quiz, f"preview/?version={number}")
        assert admin_client.get(page).status_code == 404


# Publishing


def seen(page):
    return {"seen": page.context["seen"]}


def test_publishing_offers_the_draft_and_is_logged(quiz):
    publisher = staff("view_quiz", "publish_quiz")
    page = publisher.get(url_of(quiz, "publish/"))
    assert publisher.post(url_of(quiz, "publish/"), seen(page))["Location"] == url_of(quiz)
    quiz.refresh_from_db()
    assert quiz.published == newest(quiz)
    assert quiz.published.languages == ["en", "es", "pt", "de", "tr"]
    assert "Version 1 published." in publisher.get(url_of(quiz, "history/")).content.decode()


def test_the_confirmation_says_what_changes(admin_client):
    quiz = publish()
    first, second, gap, _ = document()["questions"]
    data = document(
        second,
        {**first, "prompt": {**words("Which one?"), "en": "Which one then?"}},
        {**gap, "text": {**gap["text"], "tr": ""}},
        single_choice(key="q-new", prompt=words("Brand new?")),
        feedback="deferred",
    )
    authoring.save_draft(data=data, based_on=newest(quiz))
    page = admin_client.get(url_of(quiz, "publish/"))
    changes = page.context["changes"]
    assert (changes.languages_lost, changes.languages_gained) == (["tr"], [])
    assert page.context["added"] == ["Brand new? [en]"]
    assert page.context["changed"] == [
        ("Which one then?", ["prompt"]),
        ("The ____ of it is ____. [en]", ["text"]),
    ]
    assert page.context["removed"] == ["What belongs together? [en]"]
    assert changes.is_reordered
    text = page.content.decode()
    assert "Türkçe no longer offered" in text
    assert "Question 3, text: missing" in text


def test_nothing_is_published_while_no_language_is_complete(admin_client):
    data = document(typed_gap("x", language="en"), title={"tr": "Tahvil"}, description={})
    quiz = authoring.save_draft(data=data, based_on=None).quiz
    page = admin_client.get(url_of(quiz, "publish/"))
    text = page.content.decode()
    assert "Title: missing" in text
    assert "Question 1, gap 1, accepted answers: no accepted answer" in text
    again = admin_client.post(url_of(quiz, "publish/"), seen(page))
    assert "Nothing was published." in again.content.decode()
    quiz.refresh_from_db()
    assert quiz.published is None


def test_what_changed_since_the_confirmation_is_not_published(admin_client, quiz):
    page = admin_client.get(url_of(quiz, "publish/"))
    authoring.save_draft(data=document(title=words("Changed")), based_on=newest(quiz))
    again = admin_client.post(url_of(quiz, "publish/"), seen(page))
    assert "Nothing was published" in again.content.decode()
    quiz.refresh_from_db()
    assert quiz.published is None
    assert admin_client.post(url_of(quiz, "publish/"), seen(again)).status_code == 302


def test_a_confirmation_that_spoke_of_another_published_version_does_not_count(admin_client):
    quiz = publish()
    authoring.save_draft(data=document(title=words("Second")), based_on=newest(quiz))
    page = admin_client.get(url_of(quiz, "publish/2/"))
    authoring.import_document(data=document(title=words("Third")), publish_at=timezone.now())
    assert admin_client.post(url_of(quiz, "publish/2/"), seen(page)).status_code == 200
    quiz.refresh_from_db()
    assert quiz.published == quiz.versions.get(number=3)


def test_the_service_publishes_no_other_text_than_the_given_one(quiz):
    given = newest(quiz)
    authoring.save_draft(data=document(title=words("Changed")), based_on=newest(quiz))
    with pytest.raises(authoring.DraftChanged):
        authoring.publish(version=given, now=timezone.now())
    assert not newest(quiz).is_published


def test_an_earlier_version_can_be_published_again(admin_client):
    quiz = publish()
    authoring.import_document(data=document(title=words("Second")), publish_at=timezone.now())
    page = admin_client.get(url_of(quiz, "publish/1/"))
    admin_client.post(url_of(quiz, "publish/1/"), seen(page))
    quiz.refresh_from_db()
    assert quiz.published == quiz.versions.get(number=1)


# Archiving


def test_archiving_takes_a_quiz_out_of_the_offer_and_putting_it_back_returns_it(alice):
    quiz = publish()
    publisher = staff("view_quiz", "publish_quiz")
    for answer, is_offered in (("yes", False), ("yes", False), ("no", True)):
        publisher.post(url_of(quiz, "archive/"), {"archived": answer})
        status = alice.get("/api/v1/quizzes/stock-basics/").status_code
        assert (status == 200) is is_offered


def test_looking_at_the_page_archives_nothing(admin_client, quiz):
    admin_client.get(url_of(quiz, "archive/"))
    quiz.refresh_from_db()
    assert quiz.archived_at is None


# Importing


def upload(client, data, **how):
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return client.post(f"{QUIZZES}import/", {"file": SimpleUploadedFile("quiz.json", content)})


def test_a_file_becomes_a_draft(admin_client):
    response = upload(admin_client, document(matching(), fill_gap()))
    quiz = Quiz.objects.get()
    assert response.url == url_of(quiz)
    assert (quiz.published, newest(quiz).document) == (None, document(matching(), fill_gap()))


def test_a_file_of_a_quiz_that_exists_becomes_its_next_version_once(admin_client):
    quiz = publish()
    for _ in range(2):
        upload(admin_client, document(title=words("From a file")))
    assert (newest(quiz).number, newest(quiz).is_published) == (2, False)


def test_a_bad_file_is_refused_whole_with_every_place_named(admin_client):
    bad = document(single_choice(right="ab"), slug="no slug")
    text = upload(admin_client, bad).content.decode()
    assert "/questions/0" in text
    assert "/slug" in text
    assert "Exactly one option must be correct." in text
    assert "line 1 column 1" in upload(admin_client, b"no json").content.decode()
    assert upload(admin_client, b"").status_code == 200
    assert upload(admin_client, b" " * (5 * 1024 * 1024 + 1)).status_code == 200
    assert not Quiz.objects.exists()


def test_importing_asks_for_the_permission_of_what_it_does():
    publish()
    assert upload(staff("add_quiz"), document(title=words("Changed"))).status_code == 403
    assert upload(staff("change_quiz"), document(slug="new")).status_code == 403
    assert upload(staff("view_quiz"), document(slug="new")).status_code == 403
    assert QuizVersion.objects.count() == 1
    assert Quiz.objects.count() == 1
    both = staff("add_quiz", "change_quiz")
    assert upload(both, document(slug="new")).status_code == 302
    assert upload(both, document(title=words("Changed"))).status_code == 302
