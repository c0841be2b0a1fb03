"""One answer for each key, whatever fails, waits or comes again."""

import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from common.idempotency import KeyReused, answer_once
from common.models import KeyedAnswer, LoadedFixture
from common.problems import NotFound
from common.tests.races import at_once

MEANING = {"path": "/things/1/", "amount": Decimal("0.05")}


def note(name="noted"):
    LoadedFixture.objects.create(name=name)
    return {"name": name, "at": datetime(2026, 11, 27, tzinfo=UTC)}


def ask(**changes):
    return answer_once(**{"owner": "team", "key": "k", "meaning": MEANING, "act": note, **changes})


@pytest.mark.django_db
def test_a_retry_gets_the_first_body_and_does_nothing():
    first = ask()
    again = ask(meaning={"amount": Decimal("0.0500"), "path": "/things/1/"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.content == first.content == b'{"name":"noted","at":"2026-11-27T00:00:00Z"}'
    assert LoadedFixture.objects.count() == 1


@pytest.mark.django_db
def test_a_key_means_one_thing_and_belongs_to_one_owner():
    ask()
    with pytest.raises(KeyReused):
        ask(meaning={**MEANING, "path": "/things/2/"})
    assert ask(owner="other", act=lambda: note("theirs")).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_refusal_leaves_the_key_free_and_nothing_written():
    def refuse():
        note()
        raise NotFound()

    with pytest.raises(NotFound):
        ask(act=refuse)
    assert not LoadedFixture.objects.exists()
    assert not KeyedAnswer.objects.exists()
    assert ask().status_code == 201


@pytest.mark.django_db
def test_without_a_key_it_just_runs():
    assert ask(key=None).status_code == 201
    assert not KeyedAnswer.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_are_one():
    answers = at_once([ask] * 20)
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert LoadedFixture.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_retry_waits_for_the_first_one_and_takes_over_if_it_fails():
    is_running = threading.Event()

    def fail_late():
        is_running.set()
        threading.Event().wait(0.2)
        raise NotFound()

    def retry():
        is_running.wait(5)
        return ask()

    failed, retried = at_once([lambda: ask(act=fail_late), retry])
    assert isinstance(failed, NotFound)
    assert retried.status_code == 201
