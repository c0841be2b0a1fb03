"""What is worked out of the histories is right whoever writes them, and however."""

from random import Random
from threading import Thread

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, transaction
from django.utils import timezone

from clubs.models import ClubStatus, Period, Status, StatusChange
from clubs.tests.factories import (
    ACTIVE,
    CANCELLED,
    DAY,
    LONG_AGO,
    PAUSED,
    decide,
    make_club,
    make_subscription,
    sql,
)

WRONG = """
WITH expected AS (
    SELECT subscription_id, club_id, status_id, effect_date AS starts_at,
           lead(effect_date) OVER (PARTITION BY subscription_id ORDER BY effect_date) AS ends_at
    FROM (
        SELECT DISTINCT ON (subscription_id, effect_date) * FROM subscription_status_history
        JOIN (SELECT id AS subscription_id, club_id FROM subscription) s USING (subscription_id)
        WHERE effect_date IS NOT NULL
        ORDER BY subscription_id, effect_date, create_date DESC NULLS LAST, id DESC
    ) latest
), kept AS (SELECT subscription_id, club_id, status_id, starts_at, ends_at FROM clubs_period)
(TABLE expected EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE expected)
"""


@pytest.fixture
def everything_fits():
    yield
    assert sql(WRONG) == []


@pytest.mark.django_db
def test_rows_come_change_and_go_by_plain_sql(everything_fits):
    one, other = make_subscription(), make_subscription()
    decide(one.pk, PAUSED, LONG_AGO + DAY)
    decide(one.pk, ACTIVE, LONG_AGO + DAY)
    assert Period.objects.filter(subscription=one).count() == 2
    sql("UPDATE subscription_status_history SET effect_date = %s WHERE status_id = 3", LONG_AGO)
    assert sql(WRONG) == []
    sql("UPDATE subscription_status_history SET subscription_id = %s WHERE status_id = 3", other.pk)
    assert sql(WRONG) == []
    sql("UPDATE subscription SET club_id = %s WHERE id = %s", make_club().pk, one.pk)
    assert sql(WRONG) == []
    sql("UPDATE subscription_status_history SET effect_date = NULL WHERE status_id = 3")
    assert sql(WRONG) == []
    sql("DELETE FROM subscription_status_history WHERE subscription_id = %s", one.pk)
    assert not Period.objects.filter(subscription=one).exists()
    sql("DELETE FROM subscription WHERE id = %s", one.pk)


@pytest.mark.django_db
def test_a_history_may_come_before_its_subscription(everything_fits):
    club = make_club()
    decide("later", ACTIVE, LONG_AGO)
    sql(
        "INSERT INTO subscription (id, club_id, customer_store_id) VALUES ('later', %s, 'x')",
        club.pk,
    )
    assert Period.objects.count() == 1


@pytest.mark.django_db
def test_a_row_may_leave_everything_out_that_has_a_default():
    one = make_subscription()
    before = timezone.now()
    sql(
        "INSERT INTO subscription_status_history (subscription_id, status_id, effect_date, "
        "create_date) VALUES (%s, 3, %s, NULL)",
        one.pk,
        LONG_AGO,
    )
    # Without a create_date it is the earlier one of two with the same effect_date.
    assert Period.objects.get().status_id == ACTIVE
    decide(one.pk, PAUSED, LONG_AGO)
    assert Period.objects.get().status_id == PAUSED
    assert StatusChange.objects.filter(create_date__gte=before - DAY).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_at_once_on_one_subscription_see_each_other(everything_fits):
    one = make_subscription()

    def add():
        decide(one.pk, CANCELLED, LONG_AGO + 2 * DAY)
        connection.close()

    with transaction.atomic():
        decide(one.pk, PAUSED, LONG_AGO + DAY)
        other = Thread(target=add)
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join()
    assert Period.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_an_old_snapshot_cannot_undo_what_it_did_not_see(everything_fits):
    one = make_subscription()
    refused = []

    def add():
        try:
            with transaction.atomic():
                sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                sql("SELECT count(*) FROM subscription")
                began.start()
                began.join()
                decide(one.pk, CANCELLED, LONG_AGO + 2 * DAY)
        except Exception as error:
            refused.append(error)
        connection.close()

    def in_between():
        decide(one.pk, PAUSED, LONG_AGO + DAY)
        connection.close()

    began = Thread(target=in_between)
    late = Thread(target=add)
    late.start()
    late.join()
    assert "could not serialize" in str(refused[0])


@pytest.mark.django_db(transaction=True)
def test_an_emptied_history_leaves_no_periods():
    make_subscription()
    sql("TRUNCATE subscription_status_history")
    assert not Period.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_statuses_are_there_after_a_flush():
    Status.objects.all().delete()
    # What a flush and a migration both end with.
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert dict(Status.objects.values_list("id", "name")) == Status.NAMES
    assert dict(ClubStatus.objects.values_list("id", "name")) == ClubStatus.NAMES


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(5))
def test_random_writes_of_many_rows_at_a_time(seed, everything_fits):
    random = Random(seed)
    ids = [make_subscription().pk for _ in range(5)]
    for _ in range(15):
        many = random.randint(1, 4)
        match random.choice(["insert", "insert", "update", "delete"]):
            case "insert":
                rows = [(random.choice(ids), random.randint(1, 3), random.randint(0, 9))
                        for _ in range(many)]  # fmt: skip
                values = ", ".join(
                    f"('{id}', {status}, '2026-01-01Z'::timestamptz + '{day} days')"
                    for id, status, day in rows
                )
                sql("INSERT INTO subscription_status_history "
                    f"(subscription_id, status_id, effect_date) VALUES {values}")  # fmt: skip
            case "update":
                sql("UPDATE subscription_status_history SET effect_date = effect_date + '1 day', "
                    "status_id = 4 - status_id WHERE id %% 3 = %s", many % 3)  # fmt: skip
            case "delete":
                sql("DELETE FROM subscription_status_history WHERE id %% 7 = %s", many)
        assert sql(WRONG) == []
