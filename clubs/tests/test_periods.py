"""What is worked out of the histories is right whoever writes them, and however."""

from random import Random
from threading import Thread

import pytest
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, OperationalError, connection, transaction
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
from common.tests.races import at_once

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


def between(old_snapshot, meanwhile):
    """What a REPEATABLE READ transaction fails with that sees nothing of what was committed."""
    refused = []

    def late():
        try:
            with transaction.atomic():
                sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                sql("SELECT count(*) FROM subscription")
                at_once([meanwhile])
                old_snapshot()
        except (OperationalError, IntegrityError) as error:
            refused.append(str(error))

    at_once([late])
    return "".join(refused)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("days", [-2, -1, 1, 2, 5])
@pytest.mark.parametrize("other_days", [-1, 2, 4])
def test_an_old_snapshot_cannot_undo_what_it_did_not_see(everything_fits, days, other_days):
    one = make_subscription(None, (ACTIVE, LONG_AGO), (PAUSED, LONG_AGO + 3 * DAY))
    # Both put theirs in the same gap, one behind the other, or far from each other.
    between(
        lambda: decide(one.pk, CANCELLED, LONG_AGO + days * DAY),
        lambda: decide(one.pk, PAUSED, LONG_AGO + other_days * DAY),
    )


@pytest.mark.django_db(transaction=True)
def test_two_behind_the_same_decision_who_do_not_see_each_other_collide(everything_fits):
    one = make_subscription()
    error = between(
        lambda: decide(one.pk, CANCELLED, LONG_AGO + 2 * DAY),
        lambda: decide(one.pk, PAUSED, LONG_AGO + DAY),
    )
    assert "could not serialize" in error


@pytest.mark.django_db(transaction=True)
def test_two_before_the_first_decision_who_do_not_see_each_other_collide(everything_fits):
    one = make_subscription()
    error = between(
        lambda: decide(one.pk, CANCELLED, LONG_AGO - 2 * DAY),
        lambda: decide(one.pk, PAUSED, LONG_AGO - DAY),
    )
    assert "could not serialize" in error


@pytest.mark.django_db(transaction=True)
def test_two_first_decisions_that_do_not_see_each_other_collide(everything_fits):
    one = make_subscription(None)
    sql("DELETE FROM subscription_status_history")
    assert "clubs_period_one_is_open" in between(
        lambda: decide(one.pk, CANCELLED, LONG_AGO), lambda: decide(one.pk, PAUSED, LONG_AGO + DAY)
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("days", [-1, 1])
def test_whoever_moves_it_to_another_club_sees_all_of_it_or_fails(everything_fits, days):
    one, club = make_subscription(), make_club()
    error = between(
        lambda: sql("UPDATE subscription SET club_id = %s WHERE id = %s", club.pk, one.pk),
        lambda: decide(one.pk, PAUSED, LONG_AGO + days * DAY),
    )
    assert "could not serialize" in error


@pytest.mark.django_db
def test_a_newest_decision_writes_the_last_period_and_its_own(everything_fits):
    one = make_subscription(None, *((1 + n % 3, LONG_AGO + n * DAY) for n in range(9)))
    sql("CREATE TEMP TABLE before ON COMMIT DROP AS SELECT ctid AS place, * FROM clubs_period")
    decide(one.pk, CANCELLED, LONG_AGO + 20 * DAY)
    stayed = "SELECT count(*) FROM clubs_period JOIN before ON before.place = clubs_period.ctid"
    assert sql(stayed) == [(8,)]
    assert Period.objects.count() == 10


@pytest.mark.django_db
def test_a_statement_of_many_rows_takes_no_more_locks_than_one_of_a_single_one(everything_fits):
    club = make_club()
    sql(
        "INSERT INTO subscription (id, club_id, customer_store_id) "
        "SELECT 's' || n, %s, n FROM generate_series(1, 3000) n",
        club.pk,
    )
    insert = (
        "INSERT INTO subscription_status_history (subscription_id, status_id, effect_date) "
        "SELECT id, 1 + n %% 3, '2026-01-01Z'::timestamptz + n * interval '1 day' "
        "FROM subscription, generate_series(1, 3) n WHERE id <= %s"
    )
    locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
    sql(insert, "s1")
    few = sql(locks)
    sql(insert, "s9999")
    assert sql(locks) == few
    assert Period.objects.count() == 9000


COUNTED = {
    "nothing": "SELECT",
    "one change": "INSERT INTO subscription_status_history"
    " (subscription_id, status_id, effect_date) VALUES ('counted', 1, '2020-01-01Z')",
    "one subscription of many changes": "INSERT INTO subscription_status_history"
    " (subscription_id, status_id, effect_date) SELECT 'counted', 1, '2020-01-01Z'::timestamptz"
    " + n * interval '1 hour' FROM generate_series(1, 1000) n",
    "changes without a date": "INSERT INTO subscription_status_history (subscription_id, status_id)"
    " SELECT 'counted', 1 FROM generate_series(1, 1000)",
}


@pytest.mark.django_db
@pytest.mark.parametrize("counted", COUNTED)
@pytest.mark.parametrize("are_gone", [False, True])
def test_whatever_was_counted_last_the_plan_serves_many_of_one_instant(
    counted, are_gone, everything_fits
):
    def tuples_read():
        return sql(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class "
            "WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace "
            # The checks of foreign keys read that by plans of their own.
            "AND relname <> 'subscription'"
        )[0][0]

    club, many = make_club(), 1000
    subscribe = (
        "INSERT INTO subscription (id, club_id, customer_store_id) "
        "SELECT id, %s, id FROM unnest(%s::varchar[]) id"
    )
    sql(subscribe, club.pk, ["counted"])
    sql(COUNTED[counted])
    sql("ANALYZE subscription_status_history, clubs_period")
    # The plan of this session is made anew after that, and by whoever comes first.
    decide("counted", ACTIVE, LONG_AGO)
    if are_gone:
        sql("DELETE FROM subscription_status_history")
    sql(subscribe, club.pk, [str(n) for n in range(many)])
    before = tuples_read()
    sql(
        "INSERT INTO subscription_status_history (subscription_id, status_id, effect_date) "
        "SELECT id, 1, '2026-01-01Z' FROM subscription WHERE id <> 'counted'"
    )
    sql(
        "UPDATE subscription_status_history SET effect_date = '2026-01-02Z' "
        "WHERE subscription_id <> 'counted' AND id %% 2 = 0"
    )
    # It takes 8 for each row; all with all would take hundreds.
    assert tuples_read() - before < 20 * many


@pytest.mark.django_db
def test_what_was_dumped_can_be_loaded(everything_fits, tmp_path):
    one = make_subscription(None, (ACTIVE, LONG_AGO), (PAUSED, LONG_AGO + DAY))
    file = tmp_path / "clubs.json"
    call_command("dumpdata", "clubs", output=str(file))
    call_command("loaddata", str(file), verbosity=0)
    sql("DELETE FROM subscription_status_history")
    sql("DELETE FROM subscription")
    call_command("loaddata", str(file), verbosity=0)
    assert Period.objects.filter(subscription=one).count() == 2


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
