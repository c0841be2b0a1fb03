"""`manage.py verify_wallet` against every way to tamper that a superuser has."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F

from conftest import ALICE, BOB
from wallet import ledger
from wallet.models import Account, Entry
from wallet.services import verifying

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ledger_of_two():
    for number, amount in enumerate([100, 200, -50]):
        for user_id in [ALICE, BOB]:
            key = f"{user_id} {number}"
            ledger.post(owner="tests", key=key, user_id=user_id, amount=amount, kind="gift")


def complaints(capsys):
    """What it finds, a line each."""
    with pytest.raises(CommandError) as refused:
        call_command("verify_wallet")
    assert refused.value.returncode == 1
    return capsys.readouterr().err.splitlines()


def assert_content(capsys):
    call_command("verify_wallet")
    printed = capsys.readouterr()
    assert "Every balance" in printed.out
    assert not printed.err


def alices(version):
    return Entry.objects.filter(account=ALICE, version=version)


def run(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement, values)


def take_the_guard_away():
    """Until the test's transaction is rolled back."""
    run("ALTER TABLE wallet_entry DISABLE TRIGGER USER")


def test_it_is_content_with_what_was_posted(capsys):
    assert_content(capsys)


def edit(**values):
    return lambda: alices(2).update(**values)


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda: Account.objects.filter(pk=ALICE).update(balance=251), id="balance"),
        pytest.param(lambda: Account.objects.filter(pk=ALICE).update(version=4), id="count"),
        pytest.param(edit(amount=201), id="amount"),
        pytest.param(edit(balance_after=301), id="balance after"),
        pytest.param(edit(version=7), id="version gap"),
        pytest.param(edit(counterparty=""), id="one-sided"),
        pytest.param(edit(reason="edited"), id="reason"),
        pytest.param(edit(kind="edited"), id="kind"),
        pytest.param(edit(reference="edited"), id="reference"),
        pytest.param(edit(corrects=F("id")), id="corrects"),
        pytest.param(lambda: alices(1).delete(), id="first entry deleted"),
        pytest.param(lambda: alices(3).delete(), id="last entry deleted"),
        pytest.param(lambda: Entry.objects.filter(account=ALICE).delete(), id="all deleted"),
        pytest.param(
            lambda: (
                alices(3).update(amount=-40, balance_after=260)
                and Account.objects.filter(pk=ALICE).update(balance=260)
            ),
            id="all figures made to fit",
        ),
    ],
)
def test_it_names_the_account_that_was_tampered_with(capsys, tamper):
    take_the_guard_away()
    tamper()
    found = complaints(capsys)
    assert found
    assert all(line.startswith(f"account {ALICE}: ") for line in found)


def test_it_misses_an_account_whose_row_is_gone(capsys):
    run("ALTER TABLE wallet_account DROP CONSTRAINT wallet_account_pkey CASCADE")
    run("DELETE FROM wallet_account WHERE user_id = %s", ALICE)
    assert [line.split(";")[0] for line in complaints(capsys)] == [
        f"account {ALICE}: balance missing, its entries add up to 250"
    ]


def test_it_finds_an_entry_that_was_moved_to_another_account(capsys):
    take_the_guard_away()
    alices(3).update(account=BOB, version=4)
    found = "\n".join(complaints(capsys))
    assert f"account {ALICE}: " in found
    assert f"account {BOB}: " in found


def test_it_says_what_other_apps_found(capsys):
    def receiver(**kwargs):
        yield f"account {BOB}: 100 coins of attempt 7 were paid 0 times"

    verifying.connect(receiver)
    try:
        assert complaints(capsys) == [f"account {BOB}: 100 coins of attempt 7 were paid 0 times"]
    finally:
        verifying.disconnect(receiver)


def test_an_empty_wallet_is_right(capsys):
    take_the_guard_away()
    Entry.objects.all().delete()
    Account.objects.all().delete()
    assert_content(capsys)
