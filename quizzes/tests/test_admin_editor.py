"""The editor: what is saved, what is refused, and that nothing typed is lost."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from quizzes import authoring
from quizzes.models import Quiz, QuizVersion
from quizzes.tests import changed, document, single_choice, words
from quizzes.tests.factories import publish
from quizzes.tests.staff import QUIZZES, newest, sent, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def quiz():
    return authoring.save_draft(data=document(), based_on=None).quiz


def refused(response):
    """The faults that the page shows; it keeps the text that was sent."""
    assert response.status_code == 200
    assert response.context["is_refused"]
    return {fault["pointer"]: fault["code"] for fault in response.context["faults"]}


def kept(response):
    return response.context["text"]


def test_a_new_quiz_is_saved_as_a_draft(admin_client):
    response = admin_client.post(f"{QUIZZES}add/", sent(document()))
    quiz = Quiz.objects.get()
    assert response.url == url_of(quiz)
    assert (quiz.published, newest(quiz).number, newest(quiz).document) == (None, 1, document())
    assert str(LogEntry.objects.get()) == "Added “stock-basics”."


def test_saving_and_previewing_leads_to_the_preview(admin_client, quiz):
    data = {**sent(document(title=words("New")), newest(quiz)), "_preview": "1"}
    assert admin_client.post(url_of(quiz), data).url == url_of(quiz, "preview/")


def test_a_draft_is_saved_in_place(admin_client, quiz):
    data = document(title=words("New"))
    admin_client.post(url_of(quiz), sent(data, newest(quiz)))
    assert (newest(quiz).number, newest(quiz).document) == (1, data)
    assert LogEntry.objects.get().change_message == "Version 1 saved as a draft."


def test_saving_after_publishing_begins_a_new_draft(admin_client):
    quiz = publish()
    before = newest(quiz).document
    data = changed(before, ("title", "en"), "New")
    admin_client.post(url_of(quiz), sent(data, newest(quiz)))
    assert (newest(quiz).number, newest(quiz).is_published) == (2, False)
    assert quiz.versions.get(number=1).document == before


def test_saving_what_is_published_changes_nothing(admin_client):
    quiz = publish()
    admin_client.post(url_of(quiz), sent(newest(quiz).document, newest(quiz)))
    assert newest(quiz).number == 1
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("steps", "value", "pointer"),
    [
        (("questions", 0, "options", 0, "text", "en"), 7, "/questions/0/options/0/text/en"),
        (("questions", 0, "options", 0, "hint"), "x", "/questions/0/options/0/hint"),
        (("questions", 2, "gaps", 0, "accepted", "en"), [" "], "/questions/2/gaps/0/accepted/en/0"),
        (("questions", 1, "key"), "q-single", ""),
        (("slug",), "another", "/slug"),
        (("title", "en"), "NUL \x00", "/title/en"),
        (("title", "en"), "\ud800", "/title/en"),
    ],
)
def test_a_refused_save_names_every_place_and_keeps_the_text(
    admin_client, quiz, steps, value, pointer
):
    data = changed(document(title=words("Typed")), steps, value)
    response = admin_client.post(url_of(quiz), sent(data, newest(quiz)))
    assert list(refused(response)) == [pointer]
    assert json.loads(kept(response)) == data
    assert newest(quiz).document == document()


@pytest.mark.parametrize("text", ["", "no json", '{"slug": "a", "slug": "b"}', "[]", "NaN", "7"])
def test_what_is_no_document_is_refused_and_kept(admin_client, quiz, text):
    data = {**sent({}, newest(quiz)), "document": text}
    response = admin_client.post(url_of(quiz), data)
    if text:
        refused(response)
        assert kept(response) == text
    assert newest(quiz).document == document()


def test_the_page_of_a_refused_save_still_knows_what_it_began_from(admin_client, quiz):
    began = sent({}, newest(quiz))["began"]
    response = admin_client.post(url_of(quiz), sent({"slug": "stock-basics"}, newest(quiz)))
    assert response.context["began"] == began


def test_a_slug_that_is_taken_is_refused_at_its_place(admin_client, quiz):
    data = document(title=words("Another"))
    response = admin_client.post(f"{QUIZZES}add/", sent(data))
    assert refused(response) == {"/slug": "taken"}
    assert json.loads(kept(response)) == data
    assert QuizVersion.objects.count() == 1


# Two at once


def test_the_second_of_two_editors_keeps_the_text_and_saves_nothing(admin_client, quiz):
    began = newest(quiz)
    mine, theirs = document(title=words("Mine")), document(title=words("Theirs"))
    authoring.save_draft(data=theirs, based_on=newest(quiz))
    response = admin_client.post(url_of(quiz), sent(mine, began))
    assert "Somebody else saved this quiz" in response.content.decode()
    assert json.loads(kept(response)) == mine
    assert newest(quiz).document == theirs


def test_the_second_may_save_in_place_of_what_was_seen_then(admin_client, quiz):
    began = newest(quiz)
    mine, theirs = document(title=words("Mine")), document(title=words("Theirs"))
    authoring.save_draft(data=theirs, based_on=newest(quiz))
    told = admin_client.post(url_of(quiz), sent(mine, began)).context["instead"]
    third = document(title=words("Third"))
    authoring.save_draft(data=third, based_on=newest(quiz))
    again = admin_client.post(url_of(quiz), {**sent(mine, began), "instead": told})
    assert newest(quiz).document == third
    told = again.context["instead"]
    admin_client.post(url_of(quiz), {**sent(mine, began), "instead": told})
    assert newest(quiz).document == mine


def test_a_draft_that_was_published_meanwhile_is_not_overwritten(admin_client, quiz):
    began = newest(quiz)
    authoring.publish(version=newest(quiz), now=timezone.now())
    mine = document(title=words("Mine"))
    # The same text is published now: saving simply begins the next draft.
    assert admin_client.post(url_of(quiz), sent(mine, began)).status_code == 302
    assert [v.document["title"]["en"][:4] for v in quiz.versions.order_by("number")] == [
        "Stoc",
        "Mine",
    ]


@pytest.mark.parametrize("began", ["", "999999:abc", "x:y", "1", "٣:abc"])
def test_a_save_that_began_from_nowhere_is_told_so(admin_client, quiz, began):
    mine = document(title=words("Mine"))
    response = admin_client.post(url_of(quiz), {**sent(mine), "began": began})
    assert "Somebody else saved this quiz" in response.content.decode()
    assert newest(quiz).document == document()


def test_a_quiz_without_a_document_can_be_written(admin_client):
    quiz = Quiz.objects.create(slug="stock-basics")
    assert admin_client.get(url_of(quiz)).status_code == 200
    assert admin_client.post(url_of(quiz), sent(document())).status_code == 302
    assert newest(quiz).document == document()


# Versions


def test_an_old_version_can_be_read_and_downloaded(admin_client):
    quiz = publish(single_choice())
    authoring.save_draft(data=document(single_choice(), title=words("New")), based_on=newest(quiz))
    page = admin_client.get(url_of(quiz, "versions/1/"))
    assert json.loads(kept(page)) == quiz.versions.get(number=1).document
    assert 'name="_save"' not in page.content.decode()
    file = admin_client.get(url_of(quiz, "versions/1.json"))
    assert file["Content-Disposition"] == 'attachment; filename="stock-basics-v1.json"'
    assert json.loads(file.content) == quiz.versions.get(number=1).document
    assert list(json.loads(file.content)) == [
        "slug",
        "feedback",
        "title",
        "description",
        "questions",
    ]
    assert admin_client.get(url_of(quiz, "versions/3/")).status_code == 404
