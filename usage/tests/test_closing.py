"""Closing months: for ever, for bills that are not there yet too, and while writers run."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from threading import Event
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from common.tests.races import at_once
from usage import batches, metering, proof, services, tasks
from usage.models import Bill, Closing, Customer, UsageRecord, month_text
from usage.reading import Usage
from usage.tests.conftest import ALICE, BOB

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 10, tzinfo=UTC)


def use(key, at=OCTOBER, now=NOW, customer=ALICE, units="1"):
    usage = Usage(key, customer, "s", units, "1", at)
    return metering.record_usage(owner="t", usage=usage, now=now)


def close(period=None, now=NOW, **patience):
    return services.close_months(period=period, now=now, by="test", **patience)


@pytest.mark.django_db
class TestClosing:
    @pytest.fixture(autouse=True)
    def _customers(self, customers):
        pass

    def test_usage_of_a_closed_month_goes_on_the_current_bill_and_says_so(self):
        use("k1")
        close(date(2026, 10, 1))
        late = use("k2", units="2").as_json()
        assert late["lateFor"] == "2026-10"
        assert (late["bill"]["period"], late["bill"]["total"]) == ("2026-11", "2.00")
        assert Bill.objects.get(period="2026-10-01").total == 1

    def test_a_replay_is_on_the_bill_that_it_was_on(self):
        first = use("k1").as_json()
        close()
        again = use("k1")
        assert again.is_replay
        assert again.as_json() == first

    def test_a_batch_and_plain_sql_are_late_too(self):
        close()
        [verdict] = batches.record_many(
            owner="t", batch=[Usage("k1", ALICE, "s", "1", "1", OCTOBER)], now=NOW
        )
        assert verdict.status == "created"
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit,"
                " recorded_at) VALUES (123, 's', 1, 1, '2026-10-10T00:00Z')"
            )
        assert [month_text(r.late_for) for r in UsageRecord.objects.all()] == ["2026-10"] * 2
        assert {r.period for r in UsageRecord.objects.all()} == {date(2026, 11, 1)}

    def test_a_month_is_closed_for_customers_without_a_bill_too(self):
        close()
        assert use("k1", customer=BOB).as_json()["lateFor"] == "2026-10"
        assert use("k2", datetime(1999, 1, 1, tzinfo=UTC)).as_json()["lateFor"] == "1999-01"

    def test_a_month_that_nobody_closed_stays_open_however_old(self):
        assert use("k1", datetime(1999, 1, 1, tzinfo=UTC)).as_json()["lateFor"] is None
        close(date(2026, 9, 1))
        assert use("k2").as_json()["bill"]["period"] == "2026-10"

    def test_closing_again_changes_nothing(self):
        assert close() is not None
        assert close() is None
        assert close(date(2026, 10, 1)) is None
        assert Closing.objects.count() == 1

    @pytest.mark.parametrize("period", [date(2026, 11, 1), date(2026, 12, 1), date(9999, 12, 1)])
    def test_a_month_that_is_not_over_stays_open(self, period):
        with pytest.raises(services.MonthNotOver):
            close(period)

    def test_over_is_a_question_of_utc(self):
        december = datetime(2026, 12, 1, tzinfo=UTC)
        with pytest.raises(services.MonthNotOver):
            close(date(2026, 11, 1), now=december - timedelta(microseconds=1))
        assert close(date(2026, 11, 1), now=december)

    def test_a_clock_that_is_behind_a_closing_bills_in_the_next_month(self):
        close(date(2026, 11, 1), now=datetime(2026, 12, 1, tzinfo=UTC))
        behind = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
        for recorded in [use("k1", behind, now=behind), use("k2", None, now=behind)]:
            assert recorded.as_json()["bill"]["period"] == "2026-12"
            assert recorded.as_json()["lateFor"] == "2026-11"
        usage = Usage("k3", ALICE, "s", "1", "1", None)
        batches.record_many(owner="t", batch=[usage], now=behind)
        assert {r.period for r in UsageRecord.objects.all()} == {date(2026, 12, 1)}

    def test_a_retry_after_midnight_on_the_first_is_a_replay(self):
        lost = datetime(2026, 11, 30, 23, 59, 59, 999000, tzinfo=UTC)
        first = use("k1", None, now=lost)
        close(date(2026, 11, 1), now=datetime(2026, 12, 1, tzinfo=UTC))
        again = use("k1", None, now=datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC))
        assert again.is_replay
        assert again.as_json() == first.as_json()
        assert UsageRecord.objects.count() == 1

    def test_a_closing_is_for_ever(self):
        close()
        changes = [
            lambda: Closing.objects.all().delete(),
            lambda: Closing.objects.update(closed_by=""),
        ]
        for change in changes:
            with pytest.raises(DatabaseError), transaction.atomic():
                change()

    def test_the_command_says_what_it_closed(self, capsys):
        use("k1", at=timezone.now() - timedelta(days=40))
        call_command("close_bills")
        assert "1 bills" in capsys.readouterr().out
        call_command("close_bills")
        call_command("close_bills", period="2020-02")
        assert capsys.readouterr().out.count("Closed before") == 2

    @pytest.mark.parametrize("period", ["2026-13", "x", "", "9999-12", "0000-01", "２０２６-01"])
    def test_the_command_refuses_what_is_no_past_month(self, period):
        with pytest.raises(CommandError):
            call_command("close_bills", period=period)
        assert not Closing.objects.exists()

    @pytest.mark.parametrize(
        ("moment", "last"),
        [
            (datetime(2026, 12, 3, 23, 59, tzinfo=UTC), "2026-10"),
            (datetime(2026, 12, 4, 0, 11, tzinfo=UTC), "2026-11"),
            (datetime(2026, 12, 31, 12, tzinfo=UTC), "2026-11"),
            (datetime(2027, 1, 4, 0, 11, tzinfo=UTC), "2026-12"),
        ],
    )
    def test_the_job_closes_a_month_three_days_after_its_end(self, moment, last):
        with mock.patch("usage.tasks.timezone.now", return_value=moment):
            tasks.close_bills(timestamp=0)
        assert month_text(Closing.objects.get().last_month) == last


@pytest.fixture
def two_customers(transactional_db):
    Customer.objects.create(id=ALICE, name="Alice")
    Customer.objects.create(id=BOB, name="Bob")


@pytest.mark.usefixtures("two_customers")
def test_every_record_is_on_exactly_one_bill_when_a_month_closes_meanwhile():
    started = Event()

    def write(thread):
        for n in range(30):
            started.set()
            key = f"{thread}-{n}"
            if n % 3:
                use(key, customer=(ALICE, BOB)[n % 2])
            else:
                batch = [Usage(f"{key}-{i}", ALICE, "s", "1", "1", OCTOBER) for i in range(5)]
                verdicts = batches.record_many(owner="t", batch=batch, now=NOW)
                assert {verdict.status for verdict in verdicts} == {"created"}

    def close_in_between():
        started.wait()
        return close()

    results = at_once([*(partial(write, thread) for thread in range(8)), close_in_between])
    assert results[:-1] == [None] * 8
    assert isinstance(results[-1], Closing)
    assert UsageRecord.objects.count() == 8 * (20 + 10 * 5)
    assert list(proof.discrepancies()) == []
    # Whatever came after the closing is late, and came later.
    october = UsageRecord.objects.filter(period="2026-10-01").order_by("created_at")
    assert {r.late_for for r in UsageRecord.objects.exclude(period="2026-10-01")} <= {
        date(2026, 10, 1)
    }
    assert october.count() + UsageRecord.objects.filter(period="2026-11-01").count() == 560


@pytest.mark.usefixtures("two_customers")
def test_a_closing_waits_for_a_record_under_way_and_then_goes_on():
    with transaction.atomic():
        use("k1")
        with mock.patch.object(services, "PATIENCE", "50ms"):
            [refused] = at_once([partial(close, tries=1)])
        assert refused.status == 503
    [closed] = at_once([close])
    assert isinstance(closed, Closing)
    assert Bill.objects.get().total == 1


@pytest.mark.usefixtures("two_customers")
def test_an_old_snapshot_cannot_write_into_a_month_closed_since():
    def use_in_an_old_snapshot():
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            use("k1")

    with pytest.raises(DatabaseError, match="READ COMMITTED"):
        use_in_an_old_snapshot()
    assert not Bill.objects.exists()
