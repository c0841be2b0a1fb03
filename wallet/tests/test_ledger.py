"""What only the ledger itself knows: corrections, callers' transactions, its own mistakes."""

import pytest
from django.db import IntegrityError, transaction

import wallet.services
from common.idempotency import KeyReused
from conftest import ALICE, BOB
from wallet import ledger
from wallet.models import Account, Entry
from wallet.services import Claim


def credit(key, amount, user_id=ALICE, **details):
    return ledger.post(
        owner="tests", key=key, user_id=user_id, amount=amount, kind="gift", **details
    )


@pytest.mark.django_db(transaction=True)
def test_a_posting_is_one_round_trip(django_assert_num_queries):
    claim = Claim(owner="tests", key="k1", user_id=ALICE, amount=100, kind="gift")
    for _ in ["first", "replay"]:
        with django_assert_num_queries(1):
            wallet.services.pay(claim)
    assert Entry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_rollback_of_the_caller_takes_the_posting_with_it():
    claim = Claim(owner="tests", key="k1", user_id=ALICE, amount=100, kind="gift")

    def pay_and_fail():
        with transaction.atomic():
            wallet.services.pay(claim)
            raise RuntimeError("what comes next fails")

    with pytest.raises(RuntimeError):
        pay_and_fail()
    assert not Entry.objects.exists()
    assert not Account.objects.exists()
    wallet.services.pay(claim)
    assert Account.objects.balance_of(ALICE) == 100


@pytest.mark.django_db
def test_a_refusal_leaves_the_callers_transaction_usable():
    credit("k1", 100)
    for refused, arguments in [
        (ledger.InsufficientFunds, ("k2", -500)),
        (KeyReused, ("k1", 999)),
    ]:
        with pytest.raises(refused):
            credit(*arguments)
    assert credit("k3", 1).balance_after == 101


@pytest.mark.django_db
def test_a_refused_posting_changes_nothing():
    credit("k1", 100)
    before = list(Account.objects.values()), list(Entry.objects.values_list("pk", "version"))
    with pytest.raises(ledger.InsufficientFunds):
        credit("k2", -101)
    assert before == (
        list(Account.objects.values()),
        list(Entry.objects.values_list("pk", "version")),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("amount", [0, 10**12 + 1, -(10**12) - 1])
def test_an_impossible_amount_is_the_callers_mistake_and_no_overload(amount):
    credit("k1", 10**12)
    credit("k2", 10**12)
    with pytest.raises(IntegrityError, match="wallet_entry_amount_in_bounds"):
        credit("k3", amount)


@pytest.mark.django_db
def test_versions_count_the_entries_of_each_account():
    for key in "abc":
        credit(key, 10)
        credit(f"bob {key}", 10, BOB)
    assert list(Entry.objects.filter(account=BOB).values_list("version", flat=True)) == [1, 2, 3]
    assert Account.objects.get(pk=ALICE).version == 3


@pytest.mark.django_db
def test_key_and_owner_are_kept_apart():
    credit("b:c", 1)
    for owner, key in [("tests:b", "c"), ("test", "sb:c"), ("tests", "b"), ("tests", "c")]:
        assert not ledger.post(owner=owner, key=key, user_id=ALICE, amount=1, kind="gift").is_replay


@pytest.mark.django_db
def test_a_correction_names_the_entry_that_it_makes_good():
    wrong = credit("k1", 300)
    right = credit("k2", -200, corrects=wrong.id)
    assert Entry.objects.get(pk=right.id).corrects_id == wrong.id
    assert credit("k2", -200, corrects=wrong.id).is_replay


@pytest.mark.django_db
def test_an_entry_is_corrected_once():
    wrong = credit("k1", 300)
    credit("k2", -200, corrects=wrong.id)
    with pytest.raises(ledger.AlreadyCorrected):
        credit("k3", -100, corrects=wrong.id)
    assert Account.objects.balance_of(ALICE) == 100


@pytest.mark.django_db
def test_nobodys_entry_is_corrected_on_another_account():
    wrong = credit("k1", 300)
    credit("k2", 300, BOB)
    for entry in [wrong.id, wrong.id + 10**6]:
        with pytest.raises(ledger.NothingToCorrect):
            credit("k3", -100, BOB, corrects=entry)
    assert Account.objects.balance_of(BOB) == 300


@pytest.mark.django_db
def test_the_door_tells_what_was_paid():
    for key, reference, amount in [("k1", "a", 1), ("k2", "b", 2), ("k3", "b", 3), ("k4", "c", 4)]:
        wallet.services.pay(Claim("tests", key, ALICE, amount, "gift", reference))
    wallet.services.pay(Claim("tests", "k5", ALICE, 5, "fee", "a"))
    found = wallet.services.payments(owner="tests", kind="gift", references=["a", "b", "x"])
    assert sorted((p.reference, p.user_id, p.amount) for p in found) == [
        ("a", ALICE, 1),
        ("b", ALICE, 2),
        ("b", ALICE, 3),
    ]
    every = wallet.services.payments(owner="tests", kind="gift")
    assert sorted(payment.amount for payment in every) == [1, 2, 3, 4]
