"""Clubs and subscriptions as others write them: by plain SQL."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection

from clubs.models import Club, Subscription

DAY = timedelta(days=1)
ACTIVE, CANCELLED, PAUSED = 1, 2, 3
CLOSED, INACTIVE = 2, 3
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
numbers = count(1)


def sql(statement: str, *values: object) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def make_club(
    status: int | None = ACTIVE, *, at: datetime = LONG_AGO, sku: str | None = "BEER-6"
) -> Club:
    club = Club.objects.create(name=f"Club {next(numbers)}", store_sku=sku)
    if status is not None:
        set_club(club, status, at)
    return club


def set_club(club: Club, status: int, at: datetime | None) -> None:
    sql(
        "INSERT INTO club_status_history (club_id, club_status_id, effect_date)"
        " VALUES (%s, %s, %s)",
        club.pk,
        status,
        at,
    )


def make_subscription(
    club: Club | None = None, *history: tuple[int, datetime], id: str | None = None
) -> Subscription:
    """With this history, by default active since long ago."""
    number = next(numbers)
    id = id or f"sub-{number}"
    club = club or make_club()
    sql(
        "INSERT INTO subscription (id, club_id, customer_store_id) VALUES (%s, %s, %s)",
        id,
        club.pk,
        f"customer-{number}",
    )
    for status, at in history or [(ACTIVE, LONG_AGO)]:
        decide(id, status, at)
    return Subscription.objects.get(pk=id)


def decide(id: str, status: int, at: datetime | None, details: str | None = None) -> None:
    sql(
        "INSERT INTO subscription_status_history (subscription_id, status_id, effect_date, details)"
        " VALUES (%s, %s, %s, %s)",
        id,
        status,
        at,
        details,
    )
