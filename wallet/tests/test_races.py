"""Real threads on real connections, each in its own transactions."""

from functools import partial
from threading import Barrier

import pytest
from django.db import OperationalError, transaction

from common.idempotency import KeyReused
from common.tests.races import at_once
from conftest import ALICE, BOB
from wallet import ledger
from wallet.models import Account, Entry

pytestmark = pytest.mark.django_db(transaction=True)


def post(key, amount, user_id=ALICE, **details):
    return ledger.post(
        owner="tests", key=key, user_id=user_id, amount=amount, kind="gift", **details
    )


def assert_all_adds_up():
    assert list(ledger.discrepancies()) == []


def test_50_parallel_credits_of_a_new_user_all_count():
    results = at_once([partial(post, f"k{n}", n) for n in range(1, 51)])
    assert sorted(posted.amount for posted in results) == list(range(1, 51))
    assert Account.objects.balance_of(ALICE) == sum(range(1, 51))
    versions = Entry.objects.order_by("version").values_list("version", flat=True)
    assert list(versions) == list(range(1, 51))
    assert_all_adds_up()


def test_of_50_parallel_postings_with_one_key_one_is_made_and_all_see_it():
    results = at_once([partial(post, "k", 100)] * 50)
    assert {posted.id for posted in results} == {Entry.objects.get().pk}
    assert sum(not posted.is_replay for posted in results) == 1
    assert Account.objects.balance_of(ALICE) == 100
    assert_all_adds_up()


def test_parallel_retries_of_a_spend_are_never_refused_for_what_the_first_one_took():
    for round_ in range(5):
        post(f"earn {round_}", 100)
        results = at_once([partial(post, f"spend {round_}", -100)] * 10)
        assert {posted.balance_after for posted in results} == {0}
    assert_all_adds_up()


def test_over_http_of_20_parallel_postings_one_is_201_and_the_others_replay_it(service_of):
    def send(client):
        body = {"user_id": ALICE, "amount": 100, "kind": "gift"}
        headers = {"Idempotency-Key": "k"}
        return client.post("/api/v1/wallet/postings/", body, format="json", headers=headers)

    responses = at_once([partial(send, service_of("shop", "wallet.write")) for _ in range(20)])
    assert sorted(response.status_code for response in responses) == [200] * 19 + [201]
    assert len({response.content for response in responses}) == 1


def test_the_last_coins_are_spent_once():
    for round_ in range(10):
        post(f"earn {round_}", 100)
        spends = [partial(post, f"spend {round_} {n}", -60) for n in range(2)]
        results = at_once(spends)
        assert sum(isinstance(result, ledger.InsufficientFunds) for result in results) == 1
        post(f"rest {round_}", -40)
    assert Account.objects.balance_of(ALICE) == 0
    assert_all_adds_up()


def test_one_key_for_two_users_at_once_pays_one_of_them():
    results = at_once([partial(post, "k", 100, user) for user in [ALICE, BOB] * 10])
    paid = [posted for posted in results if isinstance(posted, ledger.Posted)]
    assert len(paid) == 10
    assert all(isinstance(r, KeyReused) for r in results if r not in paid)
    assert Entry.objects.count() == Account.objects.count() == 1
    assert_all_adds_up()


def test_of_parallel_corrections_of_one_entry_one_counts():
    wrong = post("wrong", 100)
    corrections = [partial(post, f"k{n}", -10, corrects=wrong.id) for n in range(10)]
    results = at_once(corrections)
    assert sum(isinstance(result, ledger.Posted) for result in results) == 1
    assert sum(isinstance(result, ledger.AlreadyCorrected) for result in results) == 9
    assert Account.objects.balance_of(ALICE) == 90


def test_opposite_transfers_end_whole_or_not_at_all():
    """Two callers move coins between the same accounts, each in a transaction of its own, and
    lock them in opposite order: PostgreSQL ends one, whose caller tries again, and may be there
    before the other one has woken up."""
    post("alice", 100)
    post("bob", 100, BOB)
    half_way = Barrier(2)

    def transfer(key, giver, taker):
        for attempt in range(10):
            try:
                with transaction.atomic():
                    post(f"{key} from", -30, giver)
                    if attempt == 0:
                        half_way.wait()
                    post(f"{key} to", 30, taker)
                return attempt
            except OperationalError:
                continue
        raise AssertionError("never came to an end")

    attempts = at_once([partial(transfer, "1", ALICE, BOB), partial(transfer, "2", BOB, ALICE)])
    assert max(attempts) >= 1
    assert Account.objects.balance_of(ALICE) == Account.objects.balance_of(BOB) == 100
    assert Entry.objects.count() == 6
    assert_all_adds_up()


def test_later_entries_have_later_times_also_in_a_crowd():
    at_once([partial(post, f"k{n}", 1) for n in range(40)])
    times = list(Entry.objects.order_by("version").values_list("created_at", flat=True))
    assert times == sorted(times)


def test_verification_sees_one_moment_while_postings_arrive():
    def credit_many(thread):
        for n in range(40):
            post(f"{thread} {n}", 1)

    def verify():
        return [line for _ in range(10) for line in ledger.discrepancies()]

    results = at_once([*(partial(credit_many, thread) for thread in range(3)), verify])
    assert results == [None, None, None, []]
