"""The figures of a quiz's performance: shares, scores and the most common wrong answers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import ALICE
from quizzes import authoring, services, statistics
from quizzes.document import read_document
from quizzes.models import Attempt
from quizzes.statistics import Share, WrongAnswer
from quizzes.tests import (
    fill_gap,
    matching,
    multiple_choice,
    options,
    single_choice,
    typed_gap,
    words,
)
from quizzes.tests.factories import numbered, play, publish, start, take
from quizzes.tests.staff import newest, staff, url_of

pytestmark = pytest.mark.django_db


def figures(quiz):
    return statistics.figures(quiz, quiz.published.content)


def give(quiz, answer, language="en", user_id=None, times=1):
    """Completed attempts at a quiz of one question, each by somebody new."""
    for _ in range(times):
        attempt, _ = services.start_attempt(
            quiz=quiz,
            user_id=user_id or str(Attempt.objects.count() + 1),
            language=language,
            now=timezone.now(),
        )
        (question,) = attempt.version.content.questions
        attempt.answers = {question.key: answer}
        attempt.save(update_fields=["answers"])
        services.complete_attempt(
            attempt_id=attempt.pk, user_id=attempt.user_id, now=timezone.now()
        )


def wrong(quiz):
    (each,) = figures(quiz)
    return each.wrong


def republish(quiz, question):
    data = {**newest(quiz).document, "questions": [question]}
    authoring.import_document(data=data, publish_at=timezone.now())
    quiz.refresh_from_db()


# Shares and scores


def test_shares_are_those_of_the_first_completed_attempt_per_language_and_overall():
    quiz = publish(*numbered(2))
    play("1", quiz, [0], "en")
    play("1", quiz, [0, 1], "en")  # a retake counts no more
    play("2", quiz, [0, 1], "tr")
    first, second = figures(quiz)
    assert first.by_language == {"en": Share(1, 1), "tr": Share(1, 1)}
    assert second.by_language == {"en": Share(0, 1), "tr": Share(1, 1)}
    assert second.overall == Share(1, 2)
    assert second.overall.percent == 50.0
    assert Share().percent is None


def test_the_figures_are_those_that_learners_are_told(alice):
    publish(single_choice())
    result = take(alice)
    quiz = publish(single_choice())
    shares = alice.get("/api/v1/quizzes/stock-basics/progress/").json()["questions"]
    (each,) = figures(quiz)
    assert each.overall.percent == 100 * shares[0]["first_attempt_correct_share"]
    assert statistics.histogram(quiz, 1).participants == result["standing"]["participants"]


def test_questions_come_in_the_order_of_the_document_then_those_no_longer_asked():
    quiz = publish(*numbered(3))
    play("1", quiz, [0])
    data = {**newest(quiz).document, "questions": list(reversed(numbered(2)))}
    document = read_document(data)
    assert [each.key for each in statistics.figures(quiz, document)] == ["q1", "q0", "q2"]
    assert [each.question is None for each in statistics.figures(quiz, document)] == [
        False,
        False,
        True,
    ]


def test_the_histogram_counts_everybody_once_by_the_best_attempt():
    quiz = publish(*numbered(2))
    play("1", quiz, [0])
    play("1", quiz, [0, 1])
    play("2", quiz, [])
    found = statistics.histogram(quiz, 2)
    assert (found.counts, found.participants, found.average) == ({0: 1, 1: 0, 2: 1}, 2, 1.0)


def test_the_histogram_shows_scores_beyond_the_questions_of_today():
    quiz = publish(*numbered(3))
    play("1", quiz, [0, 1, 2])
    assert list(statistics.histogram(quiz, 1).counts) == [0, 1, 2, 3]


def test_a_quiz_that_nobody_took_has_empty_figures():
    quiz = publish()
    found = statistics.histogram(quiz, 4)
    assert (found.participants, found.average) == (0, None)
    assert all((each.by_language, each.wrong) == ({}, {}) for each in figures(quiz))


# Wrong answers


def test_wrong_options_are_counted_in_words_per_language():
    quiz = publish(single_choice())
    give(quiz, {"option": "opt-a"}, times=2)
    give(quiz, {"option": "opt-c"})
    give(quiz, {"option": "opt-b"})  # right
    give(quiz, {"option": "opt-c"}, "tr")
    assert wrong(quiz) == {
        "en": [WrongAnswer("", "Choice a [en]", 2), WrongAnswer("", "Choice c [en]", 1)],
        "tr": [WrongAnswer("", "Choice c [tr]", 1)],
    }


def test_the_same_set_in_another_order_is_the_same_answer():
    quiz = publish(multiple_choice())
    give(quiz, {"options": ["opt-d", "opt-a"]})
    give(quiz, {"options": ["opt-a", "opt-d"]})
    give(quiz, {"options": ["opt-b", "opt-a"]})  # right
    assert wrong(quiz) == {"en": [WrongAnswer("", "Choice a [en] + Choice d [en]", 2)]}


def test_typed_answers_are_alike_as_grading_sees_them():
    quiz = publish(typed_gap("tahvil", language="tr"), title={"tr": "Borsa"}, description={})
    for typed in ("FAİZ", " faiz", "faiz", "faız"):
        give(quiz, {"gaps": {"1": typed}}, "tr")
    first, second = wrong(quiz)["tr"]
    assert (first.times, second) == (3, WrongAnswer("", "faız", 1))
    assert first.text.strip() in ("FAİZ", "faiz")


def test_only_the_gaps_that_were_wrong_are_counted():
    quiz = publish(fill_gap())
    give(quiz, {"gaps": {"1": "accepted en", "2": "opt-z"}})
    give(quiz, {"gaps": {"1": "nonsense", "2": "opt-y"}})
    assert wrong(quiz)["en"] == [
        WrongAnswer("{{1}}", "nonsense", 1),
        WrongAnswer("{{2}}", "Choice z [en]", 1),
    ]


def test_only_the_pairs_that_were_wrong_are_counted():
    quiz = publish(matching())
    give(quiz, {"pairs": {"pair-1": "pair-2", "pair-2": "pair-2", "pair-3": "decoy-4"}})
    assert sorted(wrong(quiz)["en"], key=lambda each: each.place) == [
        WrongAnswer("Left 1 [en]", "Right 2 [en]", 1),
        WrongAnswer("Left 3 [en]", "Right 4 [en]", 1),
    ]


def test_answers_are_judged_and_worded_by_the_version_they_were_given_in():
    quiz = publish(single_choice())
    give(quiz, {"option": "opt-a"})
    now_right = [
        {**option, "text": words(f"New {option['key']}")} for option in options("abc", "a")
    ]
    republish(quiz, single_choice(options=now_right))
    give(quiz, {"option": "opt-b"})
    assert wrong(quiz)["en"] == [
        WrongAnswer("", "New opt-b [en]", 1),
        WrongAnswer("", "Choice a [en]", 1),
    ]


def test_an_option_that_was_reworded_is_still_the_same_answer():
    quiz = publish(single_choice())
    give(quiz, {"option": "opt-a"})
    reworded = [{**option, "text": words(f"New {option['key']}")} for option in options("abc", "b")]
    republish(quiz, single_choice(options=reworded))
    give(quiz, {"option": "opt-a"})
    assert wrong(quiz)["en"] == [WrongAnswer("", "New opt-a [en]", 2)]


def test_only_the_newest_attempts_are_read(monkeypatch):
    monkeypatch.setattr(statistics, "NEWEST_ATTEMPTS", 2)
    quiz = publish(single_choice())
    give(quiz, {"option": "opt-a"}, times=3)
    Attempt.objects.update(completed_at=timezone.now() - timedelta(days=1))
    give(quiz, {"option": "opt-c"}, times=2)
    assert wrong(quiz)["en"] == [WrongAnswer("", "Choice c [en]", 2)]


def test_only_the_most_common_ones_are_shown():
    quiz = publish(typed_gap("x"), title={"en": "A"}, description={})
    for number in range(statistics.WRONG_ANSWERS_SHOWN + 3):
        give(quiz, {"gaps": {"1": f"wrong {number}"}}, times=1 + number % 3)
    shown = wrong(quiz)["en"]
    assert len(shown) == statistics.WRONG_ANSWERS_SHOWN
    assert [each.times for each in shown] == sorted((each.times for each in shown), reverse=True)


def test_attempts_under_way_and_other_quizzes_do_not_count(alice):
    quiz = publish(single_choice())
    start(alice)
    give(publish(single_choice(), slug="other"), {"option": "opt-a"})
    assert wrong(quiz) == {}


def test_the_figures_cost_the_same_for_any_number_of_learners(django_assert_num_queries):
    quiz = publish(single_choice(), multiple_choice())
    for number in range(5):
        attempt, _ = services.start_attempt(
            quiz=quiz, user_id=str(number + 1), language="en", now=timezone.now()
        )
        attempt.answers = {
            "q-single": {"option": "opt-a"},
            "q-multiple": {"options": ["opt-d"]},
        }
        attempt.save(update_fields=["answers"])
        services.complete_attempt(
            attempt_id=attempt.pk, user_id=attempt.user_id, now=timezone.now()
        )
    document = read_document(newest(quiz).document)
    with django_assert_num_queries(4):
        statistics.figures(quiz, document)


# The page


def test_the_page_shows_the_figures_and_how_many_attempts_they_are_of():
    quiz = publish(single_choice())
    give(quiz, {"option": "opt-a"})
    page = staff("view_quiz").get(url_of(quiz, "performance/"))
    text = page.content.decode()
    assert "Choice a [en]" in text
    assert "newest 10,000 completed attempts" in text
    assert page.context["charts"]["shares"]["all"] == [0.0]
    assert page.context["charts"]["shares"]["tr"] == [None]
    assert page.context["charts"]["participants"] == [1, 0]


def test_what_a_learner_typed_is_shown_and_not_run():
    quiz = publish(typed_gap("x"), title={"en": "A"}, description={})
    give(quiz, {"gaps": {"1": "</script><script>alert(1)</script>"}}, user_id=ALICE)
    text = staff("view_quiz").get(url_of(quiz, "performance/")).content.decode()
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert "<script>alert(1)" not in text
