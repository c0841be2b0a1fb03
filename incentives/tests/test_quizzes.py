"""A completed quiz is an event."""

import pytest

from conftest import ALICE
from incentives.models import Event
from incentives.tests.worlds import awards, member, offer, work
from quizzes.tests.factories import numbered, publish, take

pytestmark = pytest.mark.django_db


def test_completing_a_quiz_is_an_event_of_its_own(alice):
    publish(*numbered(3))
    result = take(alice, right_at=[0, 1])
    event = Event.objects.get()
    assert (event.owner, event.user_id, event.type) == ("quizzes", ALICE, "quiz_completed")
    assert event.data == {"quiz": "stock-basics", "correct": 2, "total": 3}
    assert result["correct"] == 2


def test_quizzes_may_be_rewarded(alice):
    offer(
        {"structure": "single", "event": "quiz_completed", "where": {"quiz": "stock-basics"}},
        coins=50,
        reward="50 coins",
    )
    member(ALICE)
    publish(*numbered(1))
    take(alice, right_at=[])
    work()
    # The programme runs in 2026 and 2027.
    assert [each.status for each in awards(ALICE)] == ["fulfilled"]


def test_a_quiz_that_cannot_be_completed_is_no_event(alice, monkeypatch):
    publish(*numbered(1))

    def broken(**kwargs):
        raise RuntimeError

    monkeypatch.setattr("incentives.log.record", broken)
    with pytest.raises(AssertionError):
        take(alice)
    assert alice.get("/api/v1/progress/").json() == []
