"""The database itself refuses to change what was recorded."""

from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from conftest import ALICE, BOB
from wallet import ledger
from wallet.models import Account, Adjustment, Entry

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry():
    posted = ledger.post(owner="tests", key="k1", user_id=ALICE, amount=100, kind="gift")
    ledger.post(owner="tests", key="k2", user_id=BOB, amount=100, kind="gift")
    return Entry.objects.get(pk=posted.id)


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def save(entry):
    entry.reason = "edited"
    entry.save()


def update_many(entry):
    entry.amount = 999
    Entry.objects.bulk_update([entry], ["amount"])


@pytest.mark.parametrize(
    "change",
    [
        save,
        update_many,
        lambda entry: entry.delete(),
        lambda entry: Entry.objects.update(amount=F("amount") + 1),
        lambda entry: Entry.objects.filter(pk=entry.pk).delete(),
        lambda entry: Entry.objects.all()._raw_delete("default"),
        partial(lambda sql, entry: run(sql), "UPDATE wallet_entry SET reason = 'edited'"),
        partial(lambda sql, entry: run(sql), "UPDATE wallet_entry SET amount = amount"),
        partial(lambda sql, entry: run(sql), "DELETE FROM wallet_entry"),
        partial(lambda sql, entry: run(sql), "TRUNCATE wallet_entry CASCADE"),
        partial(lambda sql, entry: run(sql), "TRUNCATE wallet_account CASCADE"),
        partial(
            lambda sql, entry: run(sql),
            "INSERT INTO wallet_entry SELECT * FROM wallet_entry "
            "ON CONFLICT (id) DO UPDATE SET amount = 999",
        ),
    ],
)
def test_entries_are_never_changed_deleted_or_emptied(entry, change):
    before = list(Entry.objects.order_by("pk").values())
    with pytest.raises(DatabaseError), transaction.atomic():
        change(entry)
    assert list(Entry.objects.order_by("pk").values()) == before


def test_an_account_with_entries_is_never_deleted(entry):
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(DatabaseError), transaction.atomic():
        run(f"DELETE FROM wallet_account WHERE user_id = '{ALICE}'")
    assert Account.objects.balance_of(ALICE) == 100


@pytest.mark.parametrize("balance", [-1, 9 * 10**18 + 1])
def test_no_balance_is_below_zero_or_beyond_the_ceiling(entry, balance):
    with pytest.raises(DatabaseError, match="wallet_account_balance_in_bounds"):
        Account.objects.update(balance=balance)


@pytest.fixture
def adjustment(django_user_model):
    asks, decides = (django_user_model.objects.create_user(name) for name in ["asks", "decides"])
    return Adjustment.objects.create(
        user_id=ALICE, amount=50_000, reason="made good", requested_by=asks
    ), decides


def test_a_decided_adjustment_is_never_changed(adjustment):
    asked, decides = adjustment
    asked.state, asked.decided_by, asked.decided_at = "rejected", decides, timezone.now()
    asked.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        Adjustment.objects.update(reason="edited")
    with pytest.raises(DatabaseError), transaction.atomic():
        Adjustment.objects.update(state="waiting", decided_by=None, decided_at=None)


def test_an_adjustment_is_never_deleted(adjustment):
    with pytest.raises(DatabaseError), transaction.atomic():
        Adjustment.objects.all().delete()


@pytest.mark.parametrize("state", ["rejected", "posted"])
def test_nobody_decides_on_an_adjustment_of_his_own(entry, adjustment, state):
    asked, _ = adjustment
    with pytest.raises(DatabaseError, match="wallet_adjustment_four_eyes"):
        Adjustment.objects.filter(pk=asked.pk).update(
            state=state,
            decided_by=User.objects.get(username="asks"),
            decided_at=timezone.now(),
            entry=entry if state == "posted" else None,
        )
