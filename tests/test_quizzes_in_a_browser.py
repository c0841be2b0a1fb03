"""The quizzes' back office in a real browser: write, translate, preview, publish, and learn it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from playwright.sync_api import Dialog, Locator, Page, expect

from conftest import ALICE
from quizzes import authoring
from quizzes.document import LANGUAGES, read_document
from quizzes.models import Attempt, Quiz, QuizVersion
from quizzes.tests import document, fill_gap, matching, read, single_choice, words
from tests.browser import HOSTILE, in_a_browser, sign_in

pytestmark = in_a_browser


def question(page: Page, number: int) -> Locator:
    return page.get_by_role("region", name=f"Question {number}", exact=True)


def fill_all(fields: Locator, texts: list[str]) -> None:
    expect(fields).to_have_count(len(texts))
    for field, text in zip(fields.all(), texts, strict=True):
        field.fill(text)


def write(page: Page, number: int, label: str, *texts: str) -> None:
    fill_all(question(page, number).get_by_label(label, exact=True), list(texts))


def add(page: Page, kind: str) -> None:
    page.locator(".quiz-new").get_by_role("button", name=kind).click()


def tell(page: Page, language: str) -> None:
    page.get_by_role("tab", name=language).click()


def saved(page: Page, button: str = "Save") -> None:
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_text(re.compile("is saved"))).to_be_visible()


def newest() -> Any:
    return QuizVersion.objects.latest("id").document


def test_a_quiz_is_written_translated_previewed_published_and_learned(
    page: Page, live_server: Any
) -> None:
    page.goto("/admin/quizzes/quiz/")
    page.get_by_title("Add quiz").click()
    tell(page, "English")
    page.get_by_label("Title").fill("Gold & silver")
    expect(page.get_by_label("Slug")).to_have_value("gold-silver")

    add(page, "Single choice")
    write(page, 1, "Question", HOSTILE)
    write(page, 1, "Option", "A metal", "A planet", "A plant")
    write(page, 1, "Explanation", "It is a metal.")
    add(page, "Multiple choice")
    write(page, 2, "Question", "Which ones shine?")
    write(page, 2, "Option", "Gold", "Coal", "Silver")
    question(page, 2).get_by_label("Option 3 is right").check()
    add(page, "Fill the gap")
    write(page, 3, "Text", "Gold is {{1}} and {{2}}.")
    write(page, 3, "Accepted answers", "heavy\nvery heavy\n")
    question(page, 3).get_by_text("Make a gap of").click()
    question(page, 3).get_by_text("picked from options").nth(1).click()
    write(page, 3, "Option", "yellow", "blue")
    add(page, "Matching")
    write(page, 4, "Question", "What belongs together?")
    write(page, 4, "Left side", "Au", "Ag", "Cu")
    write(page, 4, "Right side", "gold", "silver", "copper")
    question(page, 4).get_by_role("button", name="Distractor").click()
    write(page, 4, "Distractor", "lead")
    expect(page.locator("#language-en")).to_contain_text("✓")
    expect(page.locator("#language-tr")).to_contain_text("–")

    tell(page, "Türkçe")
    expect(question(page, 2).get_by_text("Which ones shine?")).to_be_visible()  # the reference
    page.get_by_label("Title").fill("Altın ve gümüş")
    write(page, 1, "Question", "Altın nedir?")
    write(page, 1, "Option", "Bir metal", "Bir gezegen", "Bir bitki")
    write(page, 2, "Question", "Hangileri parlar?")
    write(page, 2, "Option", "Altın", "Kömür", "Gümüş")
    write(page, 3, "Text", "Altın {{1}} ve {{2}}.")
    write(page, 3, "Accepted answers", "AĞIR\nçok ağır")
    write(page, 3, "Option", "sarı", "mavi")
    write(page, 4, "Question", "Hangileri birbirine uyar?")
    write(page, 4, "Left side", "Au", "Ag", "Cu")
    write(page, 4, "Right side", "altın", "gümüş", "bakır")
    write(page, 4, "Distractor", "kurşun")
    expect(page.locator("#language-tr")).to_contain_text("1")
    page.locator(".quiz-outline").get_by_role("button", name="Question 1, explanation").click()
    expect(question(page, 1).get_by_label("Explanation")).to_be_focused()
    page.keyboard.type("Bir metaldir.")
    expect(page.locator("#language-tr")).to_contain_text("✓")
    expect(page.get_by_role("status")).to_have_text("Not saved yet")

    saved(page)
    expect(page.get_by_role("status")).to_have_text("Saved")
    expect(question(page, 1).get_by_label("Question", exact=True)).to_have_value("Altın nedir?")
    saved_document = newest()
    assert read_document(saved_document).complete_languages() == ["en", "tr"]
    assert saved_document["questions"][2]["gaps"][0]["accepted"] == {
        "en": ["heavy", "very heavy"],
        "tr": ["AĞIR", "çok ağır"],
    }

    page.get_by_role("link", name="Preview", exact=True).click()
    expect(page.get_by_text(HOSTILE)).to_be_visible()
    page.get_by_role("link", name="Türkçe").click()
    answer(page)
    page.get_by_role("button", name="Check the answers").click()
    expect(page.locator(".quiz-result")).to_contain_text("3 of 4 right")
    expect(page.locator(".quiz-result")).to_contain_text("0.8333")
    expect(page.locator("#q1")).to_contain_text("Bir metaldir.")
    assert not Attempt.objects.exists()

    page.get_by_role("link", name="Publish…").click()
    expect(page.get_by_text("Learners can start this quiz from then on.")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 of gold-silver is published.")).to_be_visible()

    quiz = requests.get(
        f"{live_server.url}/api/v1/quizzes/gold-silver/",
        headers={"x-zmrn-user-id": ALICE, "Accept-Language": "tr-TR, en;q=0.5"},
        timeout=10,
    ).json()
    assert (quiz["title"], quiz["available_languages"]) == ("Altın ve gümüş", ["en", "tr"])
    assert [each["type"] for each in quiz["questions"]] == [
        "single_choice",
        "multiple_choice",
        "fill_gap",
        "matching",
    ]


def answer(page: Page) -> None:
    page.get_by_label("Bir metal").check()
    page.get_by_label("Altın", exact=True).check()
    page.get_by_label("Gümüş", exact=True).check()
    page.get_by_label("Gap 1").fill("ağır")  # accepted is AĞIR, and in Turkish they are the same
    page.get_by_label("Gap 2").select_option("sarı")
    page.get_by_label("Au", exact=True).select_option("altın")
    page.get_by_label("Ag", exact=True).select_option("bakır")
    page.get_by_label("Cu", exact=True).select_option("kurşun")


@pytest.fixture
def draft(db: None) -> Quiz:
    return authoring.save_draft(data=document(), based_on=None).quiz


def edit(page: Page, quiz: Quiz) -> None:
    page.goto(f"/admin/quizzes/quiz/{quiz.pk}/change/")
    tell(page, "English")


def test_questions_are_moved_duplicated_deleted_and_brought_back(page: Page, draft: Quiz) -> None:
    edit(page, draft)
    question(page, 1).get_by_label("Move down").first.click()
    question(page, 4).get_by_label("Duplicate").click()
    question(page, 1).get_by_label("Delete").first.click()
    expect(question(page, 5)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    question(page, 3).get_by_label("Type", exact=True).select_option("Matching")
    question(page, 3).get_by_label("Type", exact=True).select_option("Fill the gap")
    saved(page)
    keys = [each["key"] for each in newest()["questions"]]
    assert keys[:4] == ["q-multiple", "q-single", "q-gap", "q-matching"]
    assert len(set(keys)) == 5
    before, after = document()["questions"], newest()["questions"]
    assert after[:4] == [before[1], before[0], before[2], before[3]]


def test_what_is_not_touched_goes_back_as_it_came(page: Page, draft: Quiz) -> None:
    edit(page, draft)
    page.get_by_label("Title").fill("Stocks and bonds")
    for language in ("Deutsch", "Türkçe", "English"):
        tell(page, language)
    saved(page)
    expected = document()
    expected["title"]["en"] = "Stocks and bonds"
    assert newest() == expected


def test_a_refused_save_keeps_the_text_and_shows_each_fault_at_its_place(
    page: Page, draft: Quiz
) -> None:
    edit(page, draft)
    write(page, 1, "Question", "Typed with care")
    question(page, 4).get_by_text("Advanced: keys").click()
    question(page, 4).get_by_label("Pair 1 key").fill("pair-2")
    question(page, 4).get_by_label("Pair 1 key").blur()
    page.get_by_role("button", name="Save", exact=True).click()
    fault = "These keys stand more than once: pair-2."
    expect(page.locator(".quiz-warning")).to_contain_text(fault)
    expect(question(page, 4).locator(".quiz-fault")).to_contain_text(fault)
    expect(question(page, 1).get_by_label("Question", exact=True)).to_have_value("Typed with care")
    expect(page.get_by_role("status")).to_have_text("Not saved yet")
    question(page, 4).get_by_text("Advanced: keys").click()
    question(page, 4).get_by_label("Pair 1 key").fill("pair-1")
    question(page, 4).get_by_label("Pair 1 key").blur()
    saved(page)
    assert newest()["questions"][0]["prompt"]["en"] == "Typed with care"


def test_the_second_of_two_editors_is_told_and_keeps_the_text(page: Page, draft: Quiz) -> None:
    edit(page, draft)
    page.get_by_label("Title").fill("Mine")
    theirs = document(title={**words("Stocks"), "en": "Theirs"})
    authoring.save_draft(data=theirs, based_on=draft.versions.get())
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody else saved this quiz")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Mine")
    assert newest()["title"]["en"] == "Theirs"
    page.get_by_role("button", name="Save mine in its place").click()
    expect(page.get_by_text(re.compile("is saved"))).to_be_visible()
    assert newest()["title"]["en"] == "Mine"


def test_leaving_with_unsaved_text_is_warned_of_and_loses_nothing(page: Page, draft: Quiz) -> None:
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    edit(page, draft)
    page.get_by_label("Title").fill("Never saved")
    page.wait_for_function("Object.keys(sessionStorage).length")
    page.goto("/admin/")
    assert asked == ["beforeunload"]
    theirs = document(title={**words("Stocks"), "en": "Theirs"})
    authoring.save_draft(data=theirs, based_on=draft.versions.get())
    edit(page, draft)
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_label("Title")).to_have_value("Never saved")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody else saved this quiz")).to_be_visible()
    assert newest() == theirs


def test_a_session_that_ended_loses_no_text(page: Page, draft: Quiz) -> None:
    edit(page, draft)
    page.get_by_label("Title").fill("Typed for an hour")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/login/**")
    sign_in(page)
    edit(page, draft)
    page.get_by_role("button", name="Bring it back").click()
    saved(page)
    assert newest()["title"]["en"] == "Typed for an hour"


def test_what_the_editor_does_not_know_is_kept(page: Page) -> None:
    newer = document(single_choice(hint=words("Think")), {"key": "q-new", "type": "essay"})
    quiz = Quiz.objects.create(slug="newer")
    QuizVersion.objects.create(quiz=quiz, number=1, document={**newer, "slug": "newer"})
    edit(page, quiz)
    expect(question(page, 2)).to_contain_text("not known here")
    page.get_by_label("Title").fill("Seen by an older editor")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".quiz-warning")).to_contain_text("hint")
    sent = json.loads(page.locator("#quiz-document").input_value())
    assert sent["questions"] == newer["questions"]


def test_a_document_of_another_shape_is_edited_as_json(page: Page) -> None:
    quiz = Quiz.objects.create(slug="odd")
    QuizVersion.objects.create(quiz=quiz, number=1, document={"slug": "odd", "questions": "none"})
    page.goto(f"/admin/quizzes/quiz/{quiz.pk}/change/")
    field = page.get_by_label("The document as JSON")
    expect(field).to_have_value(re.compile('"none"'))
    field.fill(json.dumps(document(slug="odd")))
    saved(page)
    assert newest() == document(slug="odd")


INCOMPLETE: list[Callable[[], dict[str, Any]]] = [
    lambda: document(title={"en": " \u200b\u00ad", "de": "x"}, description={"tr": "y"}),
    lambda: document(single_choice(prompt={"en": "a"}, explanation={"es": "b", "en": "\u00a0"})),
    lambda: document(fill_gap(text={"en": "{{1}}", "es": "no gap", "pt": "{{1}} {{2}} {{2}}"})),
    lambda: document(
        fill_gap(gaps=[{"key": "1", "accepted": {"en": ["x"], "es": []}}], text=words("{{1}}"))
    ),
    lambda: document(matching(distractors=[]), matching(key="m2", prompt={"tr": "ı"})),
    document,
]


def test_the_editor_counts_what_is_missing_as_publishing_does(page: Page, draft: Quiz) -> None:
    edit(page, draft)
    for make in INCOMPLETE:
        data = make()
        for language in LANGUAGES:
            shown = page.evaluate(
                "([data, language]) => QuizCompleteness.problems(data, language)"
                ".map((each) => each.pointer)",
                [data, language],
            )
            judged = read(*data["questions"], **data).problems(language)
            assert sorted(shown) == sorted(each.partition(": ")[0] for each in judged)


def test_the_charts_are_drawn_and_follow_the_language(page: Page, draft: Quiz) -> None:
    page.goto(f"/admin/quizzes/quiz/{draft.pk}/performance/")
    expect(page.get_by_role("img", name="Share right per question")).to_be_visible()
    page.get_by_role("tab", name="Türkçe").click()
    expect(page.get_by_role("tab", name="Türkçe")).to_have_attribute("aria-selected", "true")
