"""The proof that every award of coins was paid, exactly once while it stands."""

import subprocess
import sys
import uuid

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

import wallet.services
from common.tests.running import of_this_database
from conftest import ALICE, BOB, CHARLIE
from incentives import achievements, coins
from incentives.models import Achievement
from incentives.tests.worlds import awards, logged, member, offer, work
from wallet.services import Claim, WalletAway
from wallet.tests.remote import always_answering

pytestmark = pytest.mark.django_db
PEOPLE = [ALICE, BOB, CHARLIE]


@pytest.fixture
def held():
    """An achievement of 100 coins for each of three."""
    offer(coins=100, reward="100 coins")
    for user in PEOPLE:
        member(user)
        logged(user, range(1, 6))
    work()
    return {user: awards(user)[0] for user in PEOPLE}


def paid(user, amount, reference, owner="incentives"):
    key, kind = uuid.uuid4().hex, "incentive_reward"
    wallet.services.pay(Claim(owner, key, user, amount, kind, str(reference)))


def found():
    return sorted(coins.discrepancies())


def test_what_was_earned_and_paid_is_proven(held, capsys):
    assert found() == []
    call_command("verify_wallet")
    assert "paid once" in capsys.readouterr().out


def test_coins_that_never_reached_the_wallet_are_named(monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(wallet.services, "pay", lambda claim: None)
        offer(coins=100, reward="100 coins")
        member(ALICE)
        logged(ALICE, range(1, 6))
        work()
    with pytest.raises(CommandError):
        call_command("verify_wallet")
    (award,) = awards(ALICE)
    told = f"account {ALICE}: 0 of 100 coins of achievement {award.pk} were paid\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("owner", ["incentives", "api:partner"])
def test_what_was_paid_twice_is_named(held, owner):
    paid(BOB, 100, held[BOB].pk, owner)
    assert found() == [f"account {BOB}: 200 of 100 coins of achievement {held[BOB].pk} were paid"]


def test_what_was_paid_to_another_is_named(held):
    paid(BOB, 7, held[ALICE].pk)
    assert found() == [
        f"account {BOB}: 7 coins of achievement {held[ALICE].pk} were paid and not earned"
    ]


@pytest.mark.parametrize("reference", ["", "bonus", "nobodys", "without coins"])
def test_what_nobody_earned_is_named(held, reference):
    if reference == "nobodys":
        reference = str(uuid.uuid4())
    if reference == "without coins":
        offer(slug="again", reward_code="RW-7Q2K")
        work()
        reference = str(awards(ALICE, "again")[0].pk)
    paid(ALICE, 5, reference)
    paid(ALICE, 2, reference)
    assert found() == [
        f"account {ALICE}: 7 coins of achievement {reference} were paid and not earned"
    ]
    paid(ALICE, -7, reference)
    assert found() == []


def test_what_was_taken_back_is_owed_no_more(held):
    Achievement.objects.filter(pk=held[ALICE].pk).update(needs_review=True)
    achievements.reverse(id=held[ALICE].pk, by="staff:a", note="", now=timezone.now())
    assert found() == []
    paid(ALICE, 5, held[ALICE].pk)
    assert found() == [f"account {ALICE}: 5 of 0 coins of achievement {held[ALICE].pk} were paid"]


def test_more_than_are_asked_for_at_once_are_all_proven(held, monkeypatch):
    monkeypatch.setattr(coins, "AT_ONCE", 2)
    assert found() == []
    for user in PEOPLE:
        paid(user, 1, held[user].pk)
        paid(user, 1, "bonus")
    assert len(found()) == 6


def test_a_proof_that_breaks_off_leaves_nothing_half_read(held, monkeypatch):
    def breaks_off(some):
        raise WalletAway("no answer")

    monkeypatch.setattr(coins, "AT_ONCE", 1)
    monkeypatch.setattr(coins, "paid_otherwise", breaks_off)
    # While the exception is held, so is everything that it passed.
    with pytest.raises(WalletAway) as broken:
        found()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_cursors")
        assert cursor.fetchall() == [], broken


def verify_wallet(url):
    return subprocess.run(
        [sys.executable, "manage.py", "verify_wallet"],
        cwd=settings.BASE_DIR,
        env=of_this_database(
            WALLET_BACKEND="wallet.backends.http", WALLET_URL=url, WALLET_API_KEY="accrue_any"
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.django_db(transaction=True)
def test_with_the_wallet_elsewhere_it_is_asked_for_them_too(held):
    with always_answering(200, b'{"next": null, "previous": null, "results": []}') as (url, _):
        done = verify_wallet(url)
    assert (done.returncode, done.stdout) == (1, "")
    lines = [
        f"account {user}: 0 of 100 coins of achievement {held[user].pk} were paid"
        for user in PEOPLE
    ]
    assert sorted(done.stderr.splitlines()) == ["CommandError: 3 discrepancies.", *lines]
    with always_answering(200, b"<html>Please sign in</html>") as (url, _):
        done = verify_wallet(url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "CommandError: Nothing is proven: What answered is no wallet.\n"


def test_what_changes_while_it_is_proven_is_no_fault(held, monkeypatch):
    monkeypatch.setattr(coins, "AT_ONCE", 1)
    first, *_, last = sorted(held.values(), key=lambda award: award.pk)
    paid(first.user_id, 1, first.pk)
    proof = coins.discrepancies()
    assert f"of achievement {first.pk}" in next(proof)
    Achievement.objects.filter(pk=last.pk).update(needs_review=True)
    achievements.reverse(id=last.pk, by="staff:a", note="", now=timezone.now())
    assert list(proof) == []
