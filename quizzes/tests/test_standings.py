"""Where a learner stands: every formula against plain Python, kept figures against the attempts."""

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from quizzes import authoring, presentation, standings
from quizzes.document import LANGUAGES
from quizzes.models import Participant, QuestionTally, Quiz, ScoreCount
from quizzes.rounding import half_up
from quizzes.standings import Standing
from quizzes.tests import document, single_choice
from quizzes.tests.factories import numbered, play, publish


@pytest.mark.parametrize(
    ("value", "places", "rounded"),
    [
        (Fraction(1, 8), 2, "0.13"),
        (Fraction(1, 2), 0, "1"),
        (Fraction(5, 2), 0, "3"),
        (Fraction(1, 32), 4, "0.0313"),
        (Fraction(2, 3), 4, "0.6667"),
        (Fraction(1, 3), 4, "0.3333"),
        (Fraction(199, 200), 2, "1.00"),
        (Fraction(0), 2, "0.00"),
        (Fraction(1), 4, "1.0000"),
        (Fraction(1, 2) - Fraction(1, 10**40), 0, "0"),
    ],
)
def test_a_half_is_rounded_up_and_nothing_below_it(
    value: Fraction, places: int, rounded: str
) -> None:
    assert str(half_up(value, places)) == rounded


# The formulas


def standing(best: int | None, others: list[int], attempts: int = 1, total: int = 10) -> Any:
    counts = Counter(others)
    if best is not None:
        counts[best] += 1
    return Standing(total, attempts, best, dict(counts)).as_json()


def test_the_share_is_of_the_others_with_strictly_fewer_right() -> None:
    # The caller is one of the ten; of the other nine, four are below 6.
    found = standing(6, [0, 2, 2, 4, 6, 6, 8, 10, 10])
    assert found == {
        "best_correct": 6,
        "total": 10,
        "attempts": 1,
        "participants": 10,
        "average_correct": 5.4,
        "better_than_percent": 44.4,
        "reason": None,
    }


@pytest.mark.parametrize(
    ("best", "others", "percent"),
    [
        (3, [3, 3, 3, 3, 3], 0.0),
        (3, [2, 2, 2, 2, 2], 100.0),
        (3, [4, 4, 4, 4, 4], 0.0),
        (3, [2, 3, 3, 3, 4], 20.0),
        (3, [0] * 1 + [9] * 7, 12.5),
        (3, [0] * 2 + [9] * 4, 33.3),
        (3, [0] * 4 + [9] * 2, 66.7),
        (3, [0] * 1 + [9] * 15, 6.3),  # 6.25: half up, where Python says 6.2
        (3, [0] * 1999 + [9], 100.0),  # 99.95
        (3, [0] * 2999 + [9], 100.0),  # 99.966…
        (0, [0, 0, 0, 0, 1], 0.0),
    ],
)
def test_better_than_percent(best: int, others: list[int], percent: float) -> None:
    found = standing(best, others)
    assert (found["better_than_percent"], found["reason"]) == (percent, None)


@pytest.mark.parametrize("others", range(5))
def test_with_fewer_than_five_others_there_is_a_reason_and_no_share(others: int) -> None:
    found = standing(3, [1] * others)
    assert found["better_than_percent"] is None
    assert found["reason"] == "too_few_participants"
    assert found["participants"] == others + 1


def test_five_others_are_enough() -> None:
    assert standing(3, [1] * 5)["better_than_percent"] == 100.0


@pytest.mark.parametrize(
    ("best", "others", "average"),
    [(3, [], 3.0), (0, [1], 0.5), (1, [0, 0], 0.33), (2, [0, 0], 0.67), (1, [0] * 7, 0.13)],
)
def test_the_average_includes_the_caller_and_has_two_decimals(
    best: int, others: list[int], average: float
) -> None:
    assert standing(best, others)["average_correct"] == average


def test_without_participants_there_is_no_average() -> None:
    assert standing(None, [], attempts=0) == {
        "best_correct": None,
        "total": 10,
        "attempts": 0,
        "participants": 0,
        "average_correct": None,
        "better_than_percent": None,
        "reason": "too_few_participants",
    }


def test_who_never_completed_it_is_not_among_the_participants() -> None:
    found = standing(None, [1, 2, 3, 4, 5], attempts=0)
    assert (found["participants"], found["average_correct"]) == (5, 3.0)
    assert (found["better_than_percent"], found["reason"]) == (None, "not_completed")


# Histories


@dataclass
class Oracle:
    """All attempts at one quiz in order of completion, and what follows, the slow way."""

    attempts: list[tuple[str, str, dict[str, bool]]] = field(default_factory=list)

    def standing(self, user: str, total: int) -> dict[str, Any]:
        best: dict[str, int] = {}
        for who, _, verdicts in self.attempts:
            best[who] = max(best.get(who, 0), sum(verdicts.values()))
        others = [correct for who, correct in best.items() if who != user]
        percent, reason = None, None
        if len(others) < 5:
            reason = "too_few_participants"
        elif user not in best:
            reason = "not_completed"
        else:
            below = sum(correct < best[user] for correct in others)
            percent = rounded(Decimal(100 * below) / len(others), "0.1")
        return {
            "best_correct": best.get(user),
            "total": total,
            "attempts": sum(who == user for who, _, _ in self.attempts),
            "participants": len(best),
            "average_correct": rounded(Decimal(sum(best.values())) / len(best), "0.01")
            if best
            else None,
            "better_than_percent": percent,
            "reason": reason,
        }

    def share(self, key: str) -> float | None:
        first: dict[str, dict[str, bool]] = {}
        for who, _, verdicts in self.attempts:
            first.setdefault(who, verdicts)
        seen = [verdicts[key] for verdicts in first.values() if key in verdicts]
        return rounded(Decimal(sum(seen)) / len(seen), "0.01") if seen else None


def rounded(value: Decimal, step: str) -> float:
    return float(value.quantize(Decimal(step), ROUND_HALF_UP))


def kept_figures() -> dict[str, Any]:
    return {
        "participants": set(
            Participant.objects.values_list("quiz", "user_id", "attempts", "best_correct")
        ),
        "histogram": set(
            ScoreCount.objects.filter(participants__gt=0).values_list(
                "quiz", "correct", "participants"
            )
        ),
        "tallies": set(
            QuestionTally.objects.values_list("question", "language", "answered", "correct")
        ),
    }


SLUGS = ("one", "two")


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(6))
def test_any_history_adds_up_as_plain_python_says_and_as_a_rebuild_says(seed: int) -> None:
    chance = random.Random(seed)
    keys = {slug: ["q0", "q1", "q2"] for slug in SLUGS}
    for slug in SLUGS:
        publish(*numbered(3), slug=slug)
    oracles = {slug: Oracle() for slug in SLUGS}
    for step in range(60):
        slug = chance.choice(SLUGS)
        if chance.random() < 0.1:
            keys[slug] = new_version(chance, slug, keys[slug], step)
        quiz = Quiz.objects.select_related("published").get(slug=slug)
        user, language = str(chance.randint(1, 9)), chance.choice(LANGUAGES)
        right_at = {n for n in range(len(keys[slug])) if chance.random() < 0.5}
        attempt = play(user, quiz, right_at, language)
        verdicts = {key: n in right_at for n, key in enumerate(keys[slug])}
        oracles[slug].attempts.append((user, language, verdicts))
        assert attempt.standing == oracles[slug].standing(user, len(keys[slug]))
    for slug in SLUGS:
        expect_progress(slug, keys[slug], oracles[slug])
    before = kept_figures()
    call_command("rebuild_standings")
    assert kept_figures() == before


def new_version(chance: random.Random, slug: str, keys: list[str], step: int) -> list[str]:
    kept = [key for key in keys if chance.random() < 0.8]
    keys = chance.sample([*kept, f"new-{step}"], len(kept) + 1)
    data = document(*(single_choice(key=key) for key in keys), slug=slug, feedback="deferred")
    authoring.import_document(data=data, publish_at=timezone.now())
    return keys


def expect_progress(slug: str, keys: list[str], oracle: Oracle) -> None:
    quiz = Quiz.objects.select_related("published").get(slug=slug)
    assert quiz.published is not None
    for user in [str(number) for number in range(1, 11)]:
        body = presentation.quiz_progress_body(quiz, quiz.published, user)
        shares = [each["first_attempt_correct_share"] for each in body.pop("questions")]
        assert shares == [oracle.share(key) for key in keys]
        assert body == {"quiz": slug, **oracle.standing(user, len(keys))}


# Rebuilding


@pytest.mark.django_db
def test_a_rebuild_makes_good_what_was_lost_or_falsified(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for slug in SLUGS:
        quiz = publish(*numbered(3), slug=slug)
        for user in range(1, 5):
            play(str(user), quiz, range(user % 4))
        play("1", quiz, range(3))
    true = kept_figures()
    Participant.objects.filter(user_id="2").delete()
    Participant.objects.filter(user_id="3").update(best_correct=0, attempts=9)
    Participant.objects.create(user_id="77", quiz=quiz, attempts=1, best_correct=3)
    ScoreCount.objects.filter(correct=1).delete()
    ScoreCount.objects.update(participants=50)
    QuestionTally.objects.filter(question__key="q0").delete()
    QuestionTally.objects.update(answered=70)
    call_command("rebuild_standings")
    assert kept_figures() == true
    assert "2 quizzes" in capsys.readouterr().out


@pytest.mark.django_db
def test_a_rebuild_of_one_quiz_leaves_the_others_alone() -> None:
    for slug in SLUGS:
        play("1", publish(*numbered(1), slug=slug), [0])
    Participant.objects.update(attempts=9)
    call_command("rebuild_standings", "one")
    assert set(Participant.objects.values_list("quiz__slug", "attempts")) == {
        ("one", 1),
        ("two", 9),
    }


@pytest.mark.django_db
def test_a_rebuild_of_an_unknown_quiz_is_refused() -> None:
    with pytest.raises(CommandError, match="no-such-quiz"):
        call_command("rebuild_standings", "no-such-quiz")


@pytest.mark.django_db
def test_a_rebuild_counts_attempts_that_came_by_other_ways() -> None:
    quiz = publish(*numbered(2))
    for user in ("1", "2"):
        play(user, quiz, [0])
    true = kept_figures()
    for model in (Participant, ScoreCount, QuestionTally):
        model.objects.all().delete()
    standings.rebuild(quiz)
    assert kept_figures() == true


# What it costs


@pytest.mark.django_db
def test_a_standing_costs_one_query_however_many_took_part(
    django_assert_num_queries: Any,
) -> None:
    quiz = publish(*numbered(3))
    for people in (1, 40):
        for user in range(people):
            play(str(user + 1), quiz, range(user % 4))
        with django_assert_num_queries(1):
            assert standings.standing_of("1", quiz, 3).as_json()["participants"] == people
