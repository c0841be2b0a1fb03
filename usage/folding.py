"""What was added to bills since is folded into them: each minute, and where much has gathered.

What is read is right without it; it only keeps short what a read has to add up.
"""

from datetime import date

from django.db import connection


def fold() -> int:
    """All bills, unless somebody is folding already; how many there were to fold."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_fold()")
        [bills] = cursor.fetchone()
        return int(bills)


def fold_one(customer_id: int, period: date) -> None:
    """One bill, unless somebody is folding already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_fold_one(%s, %s)", [customer_id, period])
