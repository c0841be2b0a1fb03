"""Records are folded into their bills: each minute, and where many have gathered.

What is read is right without it; it only keeps short what a read has to add up.
"""

from collections.abc import Iterable

from django.db import connection


def fold() -> int:
    """All bills; how many there were to fold, 0 also when somebody else is folding already."""
    return folded("SELECT usage_fold()")


def fold_bill(bill_id: int) -> None:
    """One bill, unless somebody is folding already."""
    folded("SELECT usage_fold_bills(ARRAY[%s::bigint])", bill_id)


def fold_customers(customer_ids: Iterable[int]) -> None:
    """All bills of these customers, unless somebody is folding already."""
    folded(
        "SELECT usage_fold_bills(ARRAY("
        "SELECT id FROM usage_foldedbill WHERE customer_id = ANY(%s::bigint[])))",
        list(customer_ids),
    )


def folded(statement: str, which: int | list[int] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, None if which is None else [which])
        [bills] = cursor.fetchone()
        return bills or 0
