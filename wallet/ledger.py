"""The one writer of accounts and entries: a posting is one statement, a proof is a query."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from common.idempotency import KeyReused, fingerprint
from common.problems import Problem, Unavailable
from wallet.models import LARGEST_BALANCE


class InsufficientFunds(Problem):
    status, code, title = 409, "insufficient-funds", "The balance is not enough"


class BalanceLimit(Problem):
    status, code, title = 409, "balance-limit", "The balance would be larger than any may be"


@dataclass(frozen=True)
class Posted:
    """An entry as it stands in the ledger; `is_replay` when this key had been used before."""

    id: int
    account_id: str
    amount: int
    balance_after: int
    kind: str
    reference: str
    reason: str
    created_at: datetime
    is_replay: bool


# One round trip, and one row lock held no longer than the statement: measured against four
# statements in a transaction it posts 2.5 times as many to one account (benchmarks/wallet.py).
# The account is updated through the parameter, not through EXCLUDED: a proposed row with a
# negative balance would be refused by its CHECK before the conflict is even seen.
POST = f"""
WITH earlier AS (
    SELECT id, user_id, amount, balance_after, kind, reference, reason, created_at, fingerprint
    FROM wallet_entry
    WHERE owner = %(owner)s AND idempotency_key = %(key)s
), account AS (
    INSERT INTO wallet_account AS mine (user_id, balance, version)
    SELECT %(user_id)s, greatest(%(amount)s, 0), 1
    WHERE NOT EXISTS (SELECT FROM earlier)
      AND (%(amount)s > 0 OR EXISTS (SELECT FROM wallet_account WHERE user_id = %(user_id)s))
    ON CONFLICT (user_id) DO UPDATE
    SET balance = mine.balance + %(amount)s, version = mine.version + 1
    WHERE mine.balance + %(amount)s BETWEEN 0 AND {LARGEST_BALANCE}
    RETURNING balance, version
), entry AS (
    INSERT INTO wallet_entry (user_id, version, amount, balance_after, counterparty, kind,
                              reference, reason, corrects_id, owner, idempotency_key, fingerprint)
    SELECT %(user_id)s, version, %(amount)s, balance, %(counterparty)s, %(kind)s,
           %(reference)s, %(reason)s, %(corrects)s, %(owner)s, %(key)s, %(fingerprint)s
    FROM account
    RETURNING id, user_id, amount, balance_after, kind, reference, reason, created_at, fingerprint
)
SELECT *, false FROM entry UNION ALL SELECT *, true FROM earlier
"""  # noqa: S608  # the only thing put in is a constant


def post(
    *,
    owner: str,
    key: str,
    user_id: str,
    amount: int,
    kind: str,
    reference: str = "",
    reason: str = "",
    corrects: int | None = None,
) -> Posted:
    """Move `amount` coins to (or, negative, from) the user, once for each owner and key.

    Part of the caller's transaction if there is one. Raises InsufficientFunds or BalanceLimit
    with nothing written and the key still free, KeyReused when the key had another meaning.
    """
    meaning = {
        "user_id": user_id,
        "amount": amount,
        "kind": kind,
        "reference": reference,
        "reason": reason,
        "corrects": corrects,
    }
    mark = fingerprint(meaning)
    arguments = {
        **meaning,
        "owner": owner,
        "key": key,
        "fingerprint": mark,
        "counterparty": f"issuer:{kind}"[:50],
    }
    # The second round is for the one that waited for a posting with its own key: it reads it.
    for _ in range(2):
        try:
            with transaction.atomic() if connection.in_atomic_block else nullcontext():
                row = execute(POST, arguments)
        except IntegrityError:
            continue
        if row is None:
            raise InsufficientFunds() if amount < 0 else BalanceLimit()
        *fields, first_mark, is_replay = row
        if bytes(first_mark) != mark:
            raise KeyReused()
        return Posted(*fields, is_replay=is_replay)
    raise Unavailable()


def execute(statement: str, arguments: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchone()


BROKEN_ACCOUNTS = """
SELECT account.user_id,
       account.balance, coalesce(sum(entry.amount), 0),
       account.version, count(entry.id), coalesce(max(entry.version), 0)
FROM wallet_account account LEFT JOIN wallet_entry entry USING (user_id)
GROUP BY account.user_id
HAVING account.balance <> coalesce(sum(entry.amount), 0)
    OR account.version <> count(entry.id)
    OR account.version <> coalesce(max(entry.version), 0)
ORDER BY account.user_id
"""

BROKEN_CHAINS = """
SELECT user_id, version, amount, balance_after, expected_version, expected_balance
FROM (
    SELECT user_id, version, amount, balance_after,
           row_number() OVER chain AS expected_version,
           sum(amount) OVER chain AS expected_balance
    FROM wallet_entry WINDOW chain AS (PARTITION BY user_id ORDER BY version)
) chained
WHERE version <> expected_version OR balance_after <> expected_balance
ORDER BY user_id, version
"""

UNBALANCED = """
SELECT (SELECT coalesce(sum(balance), 0) FROM wallet_account),
       (SELECT coalesce(sum(amount), 0) FROM wallet_entry WHERE counterparty <> '')
"""


def discrepancies() -> Iterator[str]:
    """What is wrong, a line each, naming the account; nothing when all adds up."""
    with transaction.atomic(), connection.cursor() as cursor:
        # One snapshot, so that postings that arrive meanwhile are not taken for faults.
        if not connection.in_atomic_block or len(connection.savepoint_ids) == 0:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(BROKEN_ACCOUNTS)
        for user, balance, total, version, count, last in cursor.fetchall():
            yield (
                f"account {user}: balance {balance}, its entries add up to {total}; "
                f"version {version}, {count} entries, the last is {last}"
            )
        cursor.execute(BROKEN_CHAINS)
        for user, version, amount, after, expected_version, expected in cursor.fetchall():
            yield (
                f"account {user}: entry {version} ({amount:+d}) says {after} after it, "
                f"expected entry {expected_version} with {expected}"
            )
        cursor.execute(UNBALANCED)
        held, issued = cursor.fetchone()
        if held != issued:
            yield f"all accounts hold {held}, their counterparties issued {issued}"
