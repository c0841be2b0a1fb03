"""What staff and jobs do with usage, besides recording it: customers, closings, corrections."""

import time
from datetime import date, datetime, timedelta

import psycopg
from django.db import IntegrityError, OperationalError, connection, transaction

from common.problems import Problem, Unavailable
from usage.billing import GATE
from usage.models import Closing, Customer, first_of_month, month_text

BEGINNING = date.min
# Behind whoever waits for the gate all writers wait: not for longer than this at a time.
PATIENCE = "250ms"
PAUSE = 1.0  # seconds until the next try
TRIES = 60
# Some three seconds: who waits in a request holds one of a few threads.
TRIES_OF_STAFF = 3


class MonthNotOver(Problem):
    status, code, title = 409, "month-not-over", "A month is closed when it is over"


class NoGap(Unavailable):
    title = "Records are being written without a gap: not closed, try again in a moment"


def create_customer(*, name: str) -> Customer:
    try:
        with transaction.atomic():
            return Customer.objects.create(name=name)
    except IntegrityError:
        # Ids that came by SQL did not move the sequence on.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('customer', 'id'), max(id)) FROM customer"
            )
        return Customer.objects.create(name=name)


def close_months(
    *,
    period: date | None = None,
    days_after: int = 0,
    now: datetime,
    by: str,
    tries: int = TRIES,
) -> Closing | None:
    """Close one month, or every one that ended `days_after` days ago; None when it was before.

    Waits for records under way, some 1.25 s for each try; those that come later go on a later
    bill. Raises MonthNotOver, or NoGap when writers never left one.
    """
    current = first_of_month(now - timedelta(days=days_after))
    first, last = (period, period) if period else (BEGINNING, month_before(current))
    if last >= current:
        raise MonthNotOver(f"{month_text(last)} is not over yet.")
    for tries_left in reversed(range(tries)):
        try:
            return close(first, last, now=now, by=by)
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise
            if tries_left:
                time.sleep(PAUSE)
    raise NoGap()


def close(first: date, last: date, *, now: datetime, by: str) -> Closing | None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [GATE])
        if Closing.objects.filter(first_month__lte=first, last_month__gte=last).exists():
            return None
        return Closing.objects.create(
            first_month=first, last_month=last, closed_at=now, closed_by=by
        )


def month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)
