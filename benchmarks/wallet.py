"""Posting: through HTTP against a bare WSGI app, by function call against django-hordak."""

import itertools
import json
import random
import time
import uuid
from collections.abc import Callable
from functools import partial

from django.db import connection
from hordak.models import Account as HordakAccount
from hordak.models import AccountType
from moneyed import Money

from benchmarks import load, server
from benchmarks.report import heading, ratio
from common.models import ApiKey
from wallet import ledger

MANY, HOT = 10_000, 1
numbers = itertools.count()


def run() -> None:
    heading("Wallet: postings per second through HTTP (ours : bare WSGI, the same statement)")
    _, secret = ApiKey.issue(owner="bench", scopes=["wallet.write"])
    bare_one = "benchmarks.bare_wallet:application"
    with server.ours_and(bare_one, BARE_STATEMENT=ledger.POST) as (ours, bare):
        for port in (bare, ours):
            load.run(port, posting(secret, MANY), seconds=2)
        for label, users in ((f"{MANY} accounts", MANY), ("one hot account", HOT)):
            ratio(
                f"POST /wallet/postings/, {label}",
                partial(rate, ours, posting(secret, users)),
                partial(rate, bare, posting(secret, users)),
            )
    heading("Wallet: postings per second by function call (ours : django-hordak 2)")
    peers = hordak_accounts(200)
    ratio("one caller, 200 accounts", lambda: calls(post_once), lambda: calls(hordak_once(peers)))
    held, issued = prove()
    print(f"afterwards: accounts hold {held}, entries add up to {issued}")


def posting(secret: str, users: int) -> load.Request:
    # Fresh keys and random users: nothing is replayed, nothing is in order.

    def request(number: int) -> bytes:
        body = {"user_id": str(random.randint(1, users)), "amount": 100, "kind": "bench"}
        return load.post(
            "/api/v1/wallet/postings/",
            json.dumps(body).encode(),
            Idempotency_Key=f"{number}-{uuid.uuid4().hex}",
            Authorization=f"Bearer {secret}",
        )

    return request


def rate(port: int, request: load.Request) -> float:
    result = load.run(port, request)
    assert set(result.statuses) == {201}, result.statuses
    return result.rate


def calls(once: Callable[[], None], seconds: float = 2.0) -> float:
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        once()
        done += 1
    return done / (time.perf_counter() - started)


def post_once() -> None:
    ledger.post(
        owner="bench",
        key=f"call-{next(numbers)}-{uuid.uuid4().hex}",
        user_id=str(random.randint(1, 200)),
        amount=100,
        kind="bench",
    )


def hordak_accounts(count: int) -> list[HordakAccount]:
    issuer = HordakAccount.objects.create(
        name="Issuance", type=AccountType.expense, currencies=["QCN"]
    )
    users = [
        HordakAccount.objects.create(
            name=str(number), type=AccountType.liability, currencies=["QCN"]
        )
        for number in range(count)
    ]
    return [issuer, *users]


def hordak_once(accounts: list[HordakAccount]) -> Callable[[], None]:
    issuer, *users = accounts
    return lambda: random.choice(users).transfer_to(issuer, Money(100, "QCN")) and None


def prove() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(balance), (SELECT sum(amount) FROM wallet_entry) FROM wallet_account"
        )
        held, issued = cursor.fetchone()
    assert held == issued
    return held, issued
