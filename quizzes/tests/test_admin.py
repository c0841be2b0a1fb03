"""The quizzes in the admin: the list, who may do what, attempts and rewards to look at."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import ALICE, BOB
from quizzes import authoring
from quizzes.models import Attempt, QuestionReward, Quiz, QuizVersion
from quizzes.tests import document, fill_gap, single_choice, typed_gap, words
from quizzes.tests.factories import answer, complete, play, publish, start
from quizzes.tests.staff import QUIZZES, newest, sent, staff, url_of

pytestmark = pytest.mark.django_db
ATTEMPTS, REWARDS = "/admin/quizzes/attempt/", "/admin/quizzes/questionreward/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def quiz():
    return publish()


def queries(client, url):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def slugs(client, query=""):
    return [quiz.slug for quiz in client.get(QUIZZES + query).context["cl"].result_list]


# The list


def test_the_list_shows_version_draft_languages_and_participants(admin_client, quiz):
    play(ALICE, publish(single_choice(), slug="other"), [0])
    changed = document(title={**words("Stocks"), "tr": ""}, feedback="deferred")
    authoring.save_draft(data=changed, based_on=newest(quiz))
    text = admin_client.get(QUIZZES).content.decode()
    assert "Version 1" in text
    assert "Version 2 waiting" in text
    assert "English: complete" in text
    assert "Türkçe: 1 missing" in text
    first, second = admin_client.get(QUIZZES).context["cl"].result_list
    assert (first.slug, first.participant_count) == ("other", 1)
    assert (second.slug, second.participant_count) == ("stock-basics", 0)


def test_a_language_that_nobody_began_does_not_count_what_is_missing(admin_client):
    authoring.save_draft(data=document(typed_gap("x"), title={"en": "A"}), based_on=None)
    text = admin_client.get(QUIZZES).content.decode()
    assert "Deutsch: not begun" in text
    assert "Not published" in text


def test_the_list_costs_the_same_for_any_number_of_quizzes(admin_client, quiz):
    before = queries(admin_client, QUIZZES)
    for number in range(12):
        other = publish(slug=f"quiz-{number}")
        authoring.save_draft(data=document(slug=other.slug), based_on=newest(other))
    assert queries(admin_client, QUIZZES) == before


def test_archived_quizzes_are_listed_only_when_asked_for(admin_client, quiz):
    authoring.archive(quiz=publish(slug="old"), now=timezone.now())
    assert slugs(admin_client) == ["stock-basics"]
    assert slugs(admin_client, "?archived=yes") == ["old"]
    assert slugs(admin_client, "?archived=all") == ["old", "stock-basics"]


def test_quizzes_are_found_by_slug_and_by_title_in_any_language(admin_client, quiz):
    publish(slug="other", title={**words("Else"), "tr": "Tahvil"})
    assert slugs(admin_client, "?q=tahvil") == ["other"]
    assert slugs(admin_client, "?q=stock-b") == ["stock-basics"]


def test_a_document_that_cannot_be_read_does_not_break_the_list(admin_client):
    QuizVersion.objects.create(quiz=Quiz.objects.create(slug="odd"), number=1, document=[1])
    Quiz.objects.create(slug="empty")
    text = admin_client.get(QUIZZES).content.decode()
    assert text.count("cannot be read") == 2


PAGES = [
    "change/",
    "preview/",
    "preview/?version=1",
    "publish/",
    "publish/1/",
    "archive/",
    "performance/",
    "versions/",
    "versions/1/",
    "versions/1.json",
    "history/",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("data", [[1], {"slug": "odd", "questions": [{"type": "essay"}]}])
def test_a_document_that_cannot_be_read_does_not_break_its_pages(admin_client, page, data):
    quiz = Quiz.objects.create(slug="odd")
    QuizVersion.objects.create(quiz=quiz, number=1, document=data)
    assert admin_client.get(url_of(quiz, page)).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_quiz_that_nobody_wrote_does_not_break_its_pages(admin_client, page):
    quiz = Quiz.objects.create(slug="empty")
    expected = 404 if page.startswith(("preview", "publish", "versions/1")) else 200
    assert admin_client.get(url_of(quiz, page)).status_code == expected


@pytest.mark.parametrize("page", [page for page in PAGES if page != "versions/1.json"])
def test_what_an_author_wrote_is_shown_and_not_run(admin_client, page):
    hostile = single_choice(prompt=words(HOSTILE), explanation=words(HOSTILE))
    quiz = publish(hostile, fill_gap(text=words(f"{HOSTILE} {{{{1}}}} {{{{2}}}}")))
    response = admin_client.get(url_of(quiz, page))
    assert response.status_code == 200
    assert HOSTILE not in response.content.decode()


# Permissions, also for whoever posts without a page


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_for_those_who_may_view_quizzes(quiz, page, client):
    assert client.get(url_of(quiz, page)).status_code == 302  # to sign in
    assert staff().get(url_of(quiz, page)).status_code == 403
    allowed = staff("view_quiz").get(url_of(quiz, page)).status_code
    needs_more = page.startswith(("publish", "archive"))
    assert allowed == (403 if needs_more else 200)


def test_viewing_does_not_allow_saving(quiz):
    viewer = staff("view_quiz")
    changed = document(title=words("Changed"))
    assert viewer.post(url_of(quiz), sent(changed, newest(quiz))).status_code == 403
    assert viewer.get(f"{QUIZZES}add/").status_code == 403
    assert viewer.post(f"{QUIZZES}add/", sent(document(slug="new"))).status_code == 403
    assert viewer.get(f"{QUIZZES}import/").status_code == 403
    assert (Quiz.objects.count(), QuizVersion.objects.count()) == (1, 1)
    assert 'name="_save"' not in viewer.get(url_of(quiz)).content.decode()


def test_changing_does_not_allow_adding_publishing_or_archiving(quiz):
    editor = staff("change_quiz")
    authoring.save_draft(data=document(title=words("Changed")), based_on=newest(quiz))
    assert editor.post(f"{QUIZZES}add/", sent(document(slug="new"))).status_code == 403
    seen = {"seen": f"{newest(quiz).pk}:{newest(quiz).digest}:{quiz.published_id}"}
    assert editor.post(url_of(quiz, "publish/"), seen).status_code == 403
    assert editor.post(url_of(quiz, "archive/"), {"archived": "yes"}).status_code == 403
    quiz.refresh_from_db()
    assert (quiz.published.number, quiz.archived_at) == (1, None)
    assert "Publish…" not in editor.get(url_of(quiz)).content.decode()


def test_adding_does_not_allow_changing(quiz):
    author = staff("add_quiz")
    assert author.post(url_of(quiz), sent(document(), newest(quiz))).status_code == 403
    assert author.post(f"{QUIZZES}add/", sent(document(slug="new"))).status_code == 302
    assert Quiz.objects.filter(slug="new").exists()


def test_a_quiz_is_never_deleted_here(admin_client, quiz):
    assert admin_client.post(url_of(quiz, "delete/"), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": quiz.pk, "post": "yes"}
    admin_client.post(QUIZZES, action)
    assert Quiz.objects.exists()


@pytest.mark.parametrize("id", ["99", "99999999999999999999", "1%20", "+1", "abc", "0x1"])
def test_a_quiz_that_does_not_exist_is_not_found(admin_client, id):
    for page in ["change/", "preview/", "publish/"]:
        assert admin_client.get(f"{QUIZZES}{id}/{page}").status_code in (302, 404)
        assert admin_client.post(f"{QUIZZES}{id}/{page}", {"slug": "x"}).status_code in (302, 404)


def test_every_post_needs_the_csrf_token(quiz):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("chief"))
    for page in ["change/", "preview/", "publish/", "archive/"]:
        assert client.post(url_of(quiz, page)).status_code == 403
    for page in ["add/", "import/"]:
        assert client.post(QUIZZES + page).status_code == 403


# Attempts and rewards


def test_attempts_are_found_by_user_quiz_language_and_status(admin_client, quiz, bob):
    other = publish(single_choice(), slug="other")
    done = play(ALICE, other, [0], "tr")
    under_way = start(bob)["id"]

    def found(query=""):
        response = admin_client.get(ATTEMPTS + query)
        return [str(attempt.pk) for attempt in response.context["cl"].result_list]

    assert found() == [under_way, str(done.pk)]
    assert found(f"?q={ALICE.upper()}") == [str(done.pk)]
    assert found(f"?q={ALICE[:8]}") == []
    assert found(f"?quiz__id__exact={quiz.pk}") == [under_way]
    assert found("?language=tr") == [str(done.pk)]
    assert found("?status=completed") == [str(done.pk)]
    assert found("?status=in_progress") == [under_way]
    today = f"{timezone.now():%Y-%m-%d}"
    assert len(found(f"?started_at_from={today}&started_at_to={today}")) == 2
    assert found("?started_at_to=2020-01-01") == []


def test_the_list_of_attempts_costs_the_same_for_any_number(admin_client):
    quiz = publish(single_choice())
    play(ALICE, quiz, [0])
    before = queries(admin_client, ATTEMPTS), queries(admin_client, REWARDS)
    for number in range(1, 12):
        play(str(number), quiz, [0])
    assert (queries(admin_client, ATTEMPTS), queries(admin_client, REWARDS)) == before


def test_an_attempt_shows_answers_and_verdicts_in_words(admin_client, alice):
    quiz = publish(typed_gap("bond"), title={"en": "Stocks"}, description={})
    attempt = start(alice)
    (question,) = attempt["questions"]
    answer(alice, attempt, question, {"gaps": {"1": HOSTILE}})
    page = f"{ATTEMPTS}{attempt['id']}/change/"
    assert "wrong" not in admin_client.get(page).content.decode()
    complete(alice, attempt)
    text = admin_client.get(page).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert HOSTILE not in text
    assert "wrong" in text
    assert "bond" in text
    assert f"{QUIZZES}{quiz.pk}/change/" in text


def test_an_attempt_at_nothing_yet_can_be_looked_at(admin_client, quiz, alice):
    text = admin_client.get(f"{ATTEMPTS}{start(alice)['id']}/change/").content.decode()
    assert text.count("Not answered") == 4


def test_rewards_are_found_by_user(admin_client):
    quiz = publish(single_choice())
    play(ALICE, quiz, [0])
    play(BOB, quiz, [0])
    rewards = admin_client.get(f"{REWARDS}?q={BOB}").context["cl"].result_list
    assert [reward.user_id for reward in rewards] == [BOB]


def test_history_is_not_written_by_anybody(admin_client):
    attempt = play(ALICE, publish(single_choice()), [0])
    reward = QuestionReward.objects.get()
    for url in (ATTEMPTS, REWARDS):
        assert admin_client.post(f"{url}add/").status_code == 403
        pk = attempt.pk if url == ATTEMPTS else reward.pk
        for page in ("change", "delete"):
            assert admin_client.post(f"{url}{pk}/{page}/", {"post": "yes"}).status_code == 403
        action = {"action": "delete_selected", "_selected_action": pk, "post": "yes"}
        admin_client.post(url, action)
    assert (Attempt.objects.count(), QuestionReward.objects.count()) == (1, 1)


def test_attempts_are_for_those_who_may_view_them(quiz):
    viewer = staff("view_quiz")
    assert viewer.get(ATTEMPTS).status_code == 403
    assert ATTEMPTS not in viewer.get(url_of(quiz)).content.decode()
    assert staff("view_attempt").get(ATTEMPTS).status_code == 200
