"""Any sequence of postings, against ten lines of plain Python."""

import uuid
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.idempotency import KeyReused
from wallet import ledger
from wallet.models import Account, Entry

AMOUNTS = st.one_of(
    st.integers(-300, 300).filter(bool), st.sampled_from([10**12, -(10**12), 10**12 - 1])
)
POSTINGS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz"), AMOUNTS), max_size=25
)


class Model:
    def __init__(self):
        self.balances: Counter[str] = Counter()
        self.used: dict[str, tuple[tuple[str, int], int]] = {}

    def post(self, key, user, amount):
        if key in self.used:
            first, balance = self.used[key]
            return ("replay", balance) if first == (user, amount) else "reused"
        if self.balances[user] + amount < 0:
            return "insufficient"
        self.balances[user] += amount
        self.used[key] = (user, amount), self.balances[user]
        return "posted", self.balances[user]


def really_post(world, key, user, amount):
    try:
        posted = ledger.post(
            owner=world, key=key, user_id=f"{world[:30]}{user}", amount=amount, kind="gift"
        )
    except KeyReused:
        return "reused"
    except ledger.InsufficientFunds:
        return "insufficient"
    return "replay" if posted.is_replay else "posted", posted.balance_after


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(POSTINGS)
def test_the_ledger_does_what_the_model_does(postings):
    world, model = uuid.uuid4().hex, Model()
    for key, user, amount in postings:
        assert really_post(world, key, user, amount) == model.post(key, user, amount)
    for user in "xyz":
        assert Account.objects.balance_of(f"{world[:30]}{user}") == model.balances[user]
    assert Entry.objects.filter(owner=world).count() == len(model.used)
    assert list(ledger.discrepancies()) == []


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=500))
def test_any_text_is_kept_as_it_came(reason):
    key = uuid.uuid4().hex
    for is_replay in [False, True]:
        posted = ledger.post(
            owner="tests", key=key, user_id="42", amount=1, kind="gift", reason=reason
        )
        assert (posted.reason, posted.is_replay) == (reason, is_replay)
    assert list(ledger.edited_entries()) == []
