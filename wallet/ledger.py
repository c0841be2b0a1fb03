"""The one writer of accounts and entries: a posting is one statement, a proof is a query."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from common.idempotency import KeyReused, fingerprint
from common.problems import Problem, Unavailable
from wallet.models import LARGEST_BALANCE, Entry


class InsufficientFunds(Problem):
    status, code, title = 409, "insufficient-funds", "The balance is not enough"


class BalanceLimit(Problem):
    status, code, title = 409, "balance-limit", "The balance would be larger than any may be"


class NothingToCorrect(Problem):
    status, code, title = 404, "nothing-to-correct", "This account has no such entry"


class AlreadyCorrected(Problem):
    status, code, title = 409, "already-corrected", "This entry was corrected before"


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

    def as_json(self) -> dict[str, Any]:
        """As the API answers; by hand, because a serializer would take as long as the posting."""
        return {
            "id": self.id,
            "user_id": self.account_id,
            "amount": self.amount,
            "balance_after": self.balance_after,
            "kind": self.kind,
            "reference": self.reference,
            "reason": self.reason,
            "created_at": self.created_at,
        }


# One round trip, and one row lock held no longer than the statement.
# The account is updated through the parameter, not through EXCLUDED: a proposed row with a
# negative balance would be refused by its CHECK before the conflict is even seen.
# clock_timestamp() is read with the account's lock held: later entries have later times.
POST = f"""
WITH earlier AS (
    SELECT fingerprint, id, user_id, amount, balance_after, kind, reference, reason, created_at
    FROM wallet_entry
    WHERE owner = %(owner)s::varchar AND idempotency_key = %(key)s::varchar
), account AS (
    INSERT INTO wallet_account AS mine (user_id, balance, version)
    SELECT %(user_id)s::varchar, greatest(%(amount)s::bigint, 0), 1
    WHERE NOT EXISTS (SELECT FROM earlier)
      AND (%(amount)s::bigint > 0
           OR EXISTS (SELECT FROM wallet_account WHERE user_id = %(user_id)s::varchar))
    ON CONFLICT (user_id) DO UPDATE
    SET balance = mine.balance + %(amount)s::bigint, version = mine.version + 1
    WHERE mine.balance + %(amount)s::bigint BETWEEN 0 AND {LARGEST_BALANCE}
    RETURNING balance, version
), entry AS (
    INSERT INTO wallet_entry (user_id, version, amount, balance_after, counterparty, kind,
                              reference, reason, corrects_id, owner, idempotency_key, fingerprint,
                              created_at)
    SELECT %(user_id)s::varchar, version, %(amount)s::bigint, balance, %(counterparty)s::varchar,
           %(kind)s::varchar, %(reference)s::varchar, %(reason)s::varchar, %(corrects)s::bigint,
           %(owner)s::varchar, %(key)s::varchar, %(fingerprint)s::bytea, clock_timestamp()
    FROM account
    RETURNING fingerprint, id, user_id, amount, balance_after, kind, reference, reason, created_at
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

    Part of the caller's transaction if there is one. Raises InsufficientFunds, BalanceLimit,
    NothingToCorrect or AlreadyCorrected with nothing written and the key still free, KeyReused
    when the key had another meaning.
    """
    said = meaning(user_id, amount, kind, reference, reason, corrects)
    mark = fingerprint(said)
    arguments = {
        **said,
        "owner": owner,
        "key": key,
        "fingerprint": mark,
        "counterparty": f"issuer:{kind}",
    }
    # Entries never change, so what is looked up here stays true.
    if corrects is not None and not Entry.objects.filter(pk=corrects, account=user_id).exists():
        raise NothingToCorrect()
    # Whoever waited for a posting with its own key was refused for what that one did: the second
    # round reads the entry.
    for _ in range(2):
        try:
            with transaction.atomic() if connection.in_atomic_block else nullcontext():
                row = execute(POST, arguments)
        except IntegrityError as error:
            refusal = refusal_of(error)
            continue
        if row is not None:
            first_mark, *posted = row
            if bytes(first_mark) != mark:
                raise KeyReused()
            return Posted(*posted)
        refusal = InsufficientFunds() if amount < 0 else BalanceLimit()
    raise refusal


def meaning(
    user_id: str, amount: int, kind: str, reference: str, reason: str, corrects: int | None
) -> dict[str, Any]:
    """What a key stands for: a retry must say the same, and a stored entry still says it."""
    return {
        "user_id": user_id,
        "amount": amount,
        "kind": kind,
        "reference": reference,
        "reason": reason,
        "corrects": corrects,
    }


def refusal_of(error: IntegrityError) -> Problem:
    """What two at once may run into; raises anything else, which is a mistake of our own."""
    violated = error.__cause__.diag.constraint_name  # type: ignore[union-attr]
    match violated:
        case "wallet_entry_key_unique":
            return Unavailable()
        case "wallet_entry_corrected_once":
            return AlreadyCorrected()
    raise error


def execute(statement: str, arguments: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


BROKEN_ACCOUNTS = """
SELECT user_id, coalesce(balance::text, 'missing'), coalesce(total, 0),
       coalesce(version::text, 'missing'), coalesce(entries, 0), coalesce(last, 0)
FROM wallet_account FULL JOIN (
    SELECT user_id, sum(amount) AS total, count(*) AS entries, max(version) AS last
    FROM wallet_entry GROUP BY user_id
) summed USING (user_id)
WHERE balance IS DISTINCT FROM total OR version IS DISTINCT FROM entries
   OR version IS DISTINCT FROM last
ORDER BY user_id
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

ONE_SIDED = "SELECT user_id, version FROM wallet_entry WHERE counterparty = '' ORDER BY 1, 2"


def discrepancies() -> list[str]:
    """What is wrong, a line each, naming the account; nothing when all adds up."""
    # Read whole: whoever stopped half-way would leave the transaction open.
    with transaction.atomic():
        return [*broken_sums(), *edited_entries()]


def broken_sums() -> Iterator[str]:
    # Each query sees one moment, so postings that arrive meanwhile are not taken for faults.
    with connection.cursor() as cursor:
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
        cursor.execute(ONE_SIDED)
        for user, version in cursor.fetchall():
            yield f"account {user}: entry {version} has no counterparty"


def edited_entries() -> Iterator[str]:
    """Entries that no longer say what was posted, also where all the figures fit."""
    said = ("account_id", "amount", "kind", "reference", "reason", "corrects_id")
    entries = Entry.objects.order_by("id").values_list("version", "fingerprint", *said)
    for version, mark, *values in entries.iterator():
        if bytes(mark) != fingerprint(meaning(*values)):
            yield f"account {values[0]}: entry {version} is not what was posted"
