"""manage.py verify_incentives."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from conftest import ALICE, BOB
from incentives import achievements
from incentives.models import Achievement, Progress
from incentives.tests.worlds import awards, logged, member, offer, retracted, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids():
    offer()
    member(ALICE)
    member(BOB)
    logged(BOB, [1])
    ids = logged(ALICE, range(1, 6))
    work()
    return ids


def verify(capsys, **options):
    try:
        call_command("verify_incentives", **options)
    except CommandError as error:
        return str(error), capsys.readouterr().err.splitlines()
    return capsys.readouterr().out.strip()


RIGHT = "Everybody stands where their log says."


def test_it_finds_nothing_where_nothing_is(ids, capsys):
    assert verify(capsys) == RIGHT


def test_it_names_and_mends_progress_that_is_not_what_the_log_says(ids, capsys):
    Progress.objects.filter(user_id=BOB).update(reached=3)
    told, lines = verify(capsys, fix=True)
    assert told == "1 discrepancy. The workers put it right now."
    assert lines == [
        f"user {BOB}, healthy-start/five-day-streak: the progress is not what the log says"
    ]
    work()
    assert verify(capsys) == RIGHT


def test_it_names_and_mends_achievements_that_are_not_what_the_log_says(ids, capsys):
    Achievement.objects.update(status="reversed")
    lines = verify(capsys, fix=True)[1]
    assert "achievements" in lines[0]
    work()
    assert verify(capsys) == RIGHT
    assert awards(ALICE)[0].status == "granted"


def test_whoever_waits_for_a_worker_is_left_out(ids, capsys):
    logged(BOB, [2])
    assert verify(capsys) == RIGHT


def test_what_staff_let_somebody_keep_is_right(ids, capsys):
    Achievement.objects.update(status="fulfilled")
    retracted(ids[0])
    work()
    assert verify(capsys) == RIGHT
    achievements.keep(id=awards(ALICE)[0].pk, by="staff:a", note="", now=timezone.now())
    assert verify(capsys) == RIGHT
    retracted(ids[1])
    work()
    assert not awards(ALICE)[0].needs_review
    assert verify(capsys) == RIGHT
