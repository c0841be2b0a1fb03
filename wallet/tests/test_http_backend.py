"""The wallet elsewhere: a job delivers each payment, once, whatever happens on the way."""

import uuid

import pytest
from django.db import connection, transaction
from procrastinate.contrib.django.models import ProcrastinateJob

import wallet.services
from common.tests.workers import work
from wallet.backends import http
from wallet.models import Entry
from wallet.services import Claim, Payment
from wallet.tests.remote import always_answering, free_port, proxy_that_drops

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def away(settings, wallet_service):
    """Pays to the wallet elsewhere from here on."""
    settings.WALLET_BACKEND = "wallet.backends.http"
    settings.WALLET_URL = wallet_service.url
    settings.WALLET_API_KEY = wallet_service.api_key
    return settings


@pytest.fixture
def claim():
    attempt = str(uuid.uuid4())
    return Claim(
        owner="quizzes",
        key=f"quiz-reward:{attempt}",
        user_id=str(uuid.uuid4()),
        amount=300,
        kind="quiz_reward",
        reference=attempt,
        reason="3 newly correct – çok iyi",
    )


def as_posted(claim):
    return claim.amount, claim.kind, claim.reference, claim.reason


def let_time_pass():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")


def jobs():
    found = ProcrastinateJob.objects.filter(task_name="wallet.deliver").order_by("id")
    return list(found.values_list("status", "attempts"))


def test_a_payment_is_one_entry_in_the_wallet_and_none_here(away, wallet_service, claim):
    with transaction.atomic():
        wallet.services.pay(claim)
    assert jobs() == [("todo", 0)]
    work()
    assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]
    assert jobs() == [("succeeded", 1)]
    assert not Entry.objects.exists()


def test_a_rollback_takes_the_delivery_with_it(away, wallet_service, claim):
    with transaction.atomic():
        wallet.services.pay(claim)
        assert jobs() == [("todo", 0)]
        transaction.set_rollback(True)
    assert jobs() == []
    work()
    assert wallet_service.entries_of(claim.user_id) == []


def test_paying_does_not_wait_for_the_wallet(away, claim, django_assert_num_queries):
    with always_answering(500) as (url, heard):
        away.WALLET_URL = url
        with django_assert_num_queries(1):
            wallet.services.pay(claim)
        assert heard == []


def test_while_the_wallet_is_away_the_payment_waits(away, wallet_service, claim):
    away.WALLET_URL = f"http://127.0.0.1:{free_port()}"
    wallet.services.pay(claim)
    for attempt in [1, 2]:
        work()
        assert jobs() == [("todo", attempt)]
        let_time_pass()
    away.WALLET_URL = f"{wallet_service.url}/"
    work()
    assert jobs() == [("succeeded", 3)]
    assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]


def test_an_answer_that_got_lost_does_not_pay_again(away, wallet_service, claim):
    with proxy_that_drops(wallet_service.url, answers=2) as way:
        away.WALLET_URL = way
        wallet.services.pay(claim)
        for attempt in [1, 2]:
            work()
            assert jobs() == [("todo", attempt)]
            assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]
            let_time_pass()
        work()
    assert jobs() == [("succeeded", 3)]
    assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]


def test_a_payment_delivered_many_times_is_one_entry(away, wallet_service, claim):
    for _ in range(3):
        wallet.services.pay(claim)
    work()
    assert jobs() == [("succeeded", 1)] * 3
    assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]


def test_two_apps_may_use_the_same_key(away, wallet_service, claim):
    other = Claim(**{**claim.__dict__, "owner": "incentives", "amount": 5})
    wallet.services.pay(claim)
    wallet.services.pay(other)
    work()
    assert wallet_service.entries_of(claim.user_id) == [as_posted(other), as_posted(claim)]


def test_with_a_wrong_key_of_ours_the_payment_waits_for_the_right_one(away, wallet_service, claim):
    away.WALLET_API_KEY = "accrue_nonsense"
    wallet.services.pay(claim)
    work()
    assert jobs() == [("todo", 1)]
    away.WALLET_API_KEY = wallet_service.api_key
    let_time_pass()
    work()
    assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]


@pytest.mark.parametrize("change", [{"amount": 301}, {"user_id": "nobody"}, {"kind": "A"}])
def test_what_the_wallet_can_never_take_fails_for_staff_to_see(away, wallet_service, claim, change):
    for each in (claim, Claim(**{**claim.__dict__, **change})):
        wallet.services.pay(each)
        work()
    assert jobs() == [("succeeded", 1), ("failed", 1)]
    assert wallet_service.entries_of(claim.user_id) == [as_posted(claim)]


@pytest.mark.parametrize("status", [204, 301, 307, 404, 409, 429, 500, 503])
def test_any_other_answer_is_asked_again(away, claim, status):
    with (
        always_answering(418) as (elsewhere, heard_elsewhere),
        always_answering(status, Location=elsewhere) as (url, heard),
    ):
        away.WALLET_URL = url
        wallet.services.pay(claim)
        work()
    assert jobs() == [("todo", 1)]
    assert heard == [f"Bearer {away.WALLET_API_KEY}"]
    assert heard_elsewhere == []


def test_a_netrc_of_the_machine_does_not_replace_our_key(away, claim, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with always_answering(500) as (url, heard):
        away.WALLET_URL = url
        wallet.services.pay(claim)
        work()
    assert heard == [f"Bearer {away.WALLET_API_KEY}"]


def test_what_was_paid_is_asked_of_the_wallet_page_by_page(away, monkeypatch):
    monkeypatch.setattr(http, "REFERENCES_PER_CALL", 3)
    user_id, references = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(7)]
    for number, reference in enumerate(references):
        key = f"quiz-reward:{reference}"
        wallet.services.pay(Claim("quizzes", key, user_id, 100 + number, "quiz_reward", reference))
    wallet.services.pay(Claim("quizzes", "fee", user_id, 1, "fee", references[0]))
    work()
    found = wallet.services.payments(
        owner="quizzes", kind="quiz_reward", references=[*references, "unknown"]
    )
    assert sorted(found, key=lambda payment: payment.amount) == [
        Payment(reference, user_id, 100 + number) for number, reference in enumerate(references)
    ]


def test_whatever_was_paid_very_often_is_told_whole(away, wallet_service):
    reference, user_id, kind = str(uuid.uuid4()), str(uuid.uuid4()), uuid.uuid4().hex
    for number in range(101):
        http.call(
            "POST",
            json={"user_id": user_id, "amount": 1, "kind": kind, "reference": reference},
            headers={"Idempotency-Key": f"{reference}:{number}"},
        )
    paid = [Payment(reference, user_id, 1)] * 101
    assert (
        list(wallet.services.payments(owner="quizzes", kind=kind, references=[reference])) == paid
    )
    assert list(wallet.services.payments(owner="quizzes", kind=kind)) == paid


def test_a_wallet_that_is_away_cannot_say_what_it_paid(away):
    with always_answering(503) as (url, _):
        away.WALLET_URL = url
        with pytest.raises(wallet.services.WalletAway):
            list(wallet.services.payments(owner="quizzes", kind="gift", references=["a"]))


NOT_THE_WALLETS = [
    b"",
    b"<html>Please sign in</html>",
    b"\xff",
    b"[]",
    b"null",
    b'"results"',
    b"{}",
    b'{"next": null, "results": null}',
    b'{"next": null, "results": ["id"]}',
    b'{"next": null, "results": [{"reference": "a", "amount": 1}]}',
    b'{"results": []}',
    b'{"next": 5, "results": []}',
    b'{"next": {}}',
]


@pytest.mark.parametrize("body", NOT_THE_WALLETS)
def test_an_answer_that_is_not_the_wallets_does_not_say_what_it_paid(away, body):
    with always_answering(200, body) as (url, _):
        away.WALLET_URL = url
        with pytest.raises(wallet.services.WalletAway):
            list(wallet.services.payments(owner="quizzes", kind="gift", references=["a"]))


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b"[]", b'{"id": null}'])
def test_an_answer_that_is_not_the_wallets_does_not_pay(away, claim, status, body):
    with always_answering(status, body) as (url, _):
        away.WALLET_URL = url
        wallet.services.pay(claim)
        work()
    assert jobs() == [("todo", 1)]


@pytest.mark.parametrize("body", [b"<html>Bad Request</html>", b"null", b"{}"])
def test_a_refusal_that_is_not_the_wallets_is_not_for_good(away, claim, body):
    with always_answering(400, body) as (url, _):
        away.WALLET_URL = url
        wallet.services.pay(claim)
        work()
    assert jobs() == [("todo", 1)]
