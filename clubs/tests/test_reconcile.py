"""What nobody knows the outcome of: asked again in time, or settled by a person."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from clubs import charging, claims, settling, tasks
from clubs.fake_shop import Mood
from clubs.models import Charge, ChargeEvent
from clubs.settling import AlreadySettled
from clubs.shop import Answer, Outcome
from clubs.tests.factories import DAY, PAUSED, decide, make_subscription, sql
from clubs.tests.test_charge_api import charge, code
from common.tests.races import at_once
from common.tests.workers import work

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def unknown(shop):
    shop.moods = [Mood("die", times=1)]
    charge(make_subscription())
    return Charge.objects.get()


def reconcile(found, after):
    moment = timezone.now() + after
    return charging.reconcile(found, clock=lambda: moment)


def test_it_is_asked_after_five_minutes_and_not_before(shop, unknown):
    assert not Charge.objects.due(now=timezone.now() + 4 * MINUTE)
    assert reconcile(unknown, 4 * MINUTE) == "unknown"
    assert len(shop.calls) == 1
    assert reconcile(unknown, 6 * MINUTE) == "succeeded"
    assert len(shop.orders) == 1
    assert charge(unknown.subscription, "r-9").status_code == 200


def test_then_after_an_hour_and_then_every_day(shop, unknown):
    shop.moods = [Mood("fail")]
    moment = timezone.now()
    for wait in (timedelta(minutes=5), timedelta(hours=1), DAY, DAY, DAY):
        assert not Charge.objects.due(now=moment + wait - MINUTE)
        moment += wait + MINUTE
        assert reconcile(unknown, moment - timezone.now()) == "unknown"
    assert len(shop.calls) == 6
    assert {call["request_id"] for call in shop.calls} == {"r-1"}


def test_refusals_before_the_silence_do_not_lengthen_the_wait(shop):
    shop.moods = [Mood("fail"), Mood("refuse", times=2)]
    one = make_subscription()
    assert [charge(one).status_code for _ in range(3)] == [502, 502, 504]
    moment = timezone.now()
    for wait in (timedelta(minutes=5), timedelta(hours=1), DAY):
        assert not Charge.objects.due(now=moment + wait - MINUTE)
        moment += wait + MINUTE
        assert reconcile(Charge.objects.get(), moment - timezone.now()) == "unknown"
    assert len(shop.calls) == 6


def test_a_claim_whose_process_died_becomes_unknown_and_then_known(shop):
    one = make_subscription()
    claimed, _ = claims.claim(one.pk, "r-1", "test", None, timezone.now)
    assert code(charge(one, "r-1")) == (409, "charge-in-progress")
    assert code(charge(one, "r-2")) == (409, "charge-in-progress")
    assert reconcile(claimed, timedelta(seconds=3)) == "claimed"
    assert reconcile(claimed, timedelta(seconds=5)) == "unknown"
    assert not shop.calls
    assert code(charge(one, "r-2")) == (409, "charge-outcome-unknown")
    assert reconcile(claimed, 6 * MINUTE) == "succeeded"
    assert len(shop.orders) == 1


def test_without_the_worker_a_dead_claim_is_taken_over_by_its_own_request(shop):
    one = make_subscription()
    claims.claim(one.pk, "r-1", "test", None, timezone.now)
    past = timezone.now() - DAY
    sql("UPDATE clubs_charge SET look_again_at = %s", past)
    assert code(charge(one, "r-2")) == (409, "charge-outcome-unknown")
    assert charge(one, "r-1").status_code == 201


def test_nobody_who_paused_meanwhile_is_asked_an_order_for(shop, unknown):
    decide(unknown.subscription_id, PAUSED, timezone.now())
    assert reconcile(unknown, 6 * MINUTE) == "unknown"
    assert len(shop.calls) == 1
    assert "settled by hand" in ChargeEvent.objects.latest("id").reason


def test_a_refusal_frees_the_month(shop, unknown):
    shop.moods = [Mood("refuse", status=402)]
    assert reconcile(unknown, 6 * MINUTE) == "failed"


def test_two_workers_ask_once(shop, unknown):
    sql("UPDATE clubs_charge SET look_again_at = now() - interval '1 minute'")
    shop.moods = [Mood("delay", seconds=0.3)]
    at_once([lambda: charging.reconcile(unknown) for _ in range(5)])
    assert len(shop.calls) == 2


def test_the_job_does_what_is_due_and_leaves_a_silent_shop_alone(shop):
    shop.moods = [Mood("fail")]
    for number in range(6):
        charge(make_subscription(), f"r-{number}")
    sql("UPDATE clubs_charge SET look_again_at = now() - interval '1 minute'")
    tasks.reconcile(timestamp=0)
    assert len(shop.calls) == 6 + tasks.PATIENCE
    shop.moods = []
    tasks.reconcile(timestamp=0)
    assert Charge.objects.filter(state="succeeded").count() == 3
    connection.close()


def test_a_success_that_comes_late_counts(shop, unknown):
    """Somebody found it failed too early; the one who called hears at last that it was placed."""
    settling.settle(charge_id=unknown.pk, state="failed", reason="?", by="x", now=timezone.now())
    answer = Answer(Outcome.PLACED, order={"order_id": "1"})
    done = settling.record(unknown, Charge.State.SUCCEEDED, answer, "test", timezone.now())
    assert done.state == "succeeded"
    assert Charge.objects.get().order == {"order_id": "1"}


def test_a_second_order_for_a_month_is_said_aloud(shop, unknown, caplog):
    settling.settle(charge_id=unknown.pk, state="failed", reason="?", by="x", now=timezone.now())
    charge(unknown.subscription, "r-2")
    answer = Answer(Outcome.PLACED)
    settling.record(unknown, Charge.State.SUCCEEDED, answer, "test", timezone.now())
    assert "r-1 is one too many" in caplog.text
    assert "must be cancelled" in unknown.events.latest("id").reason
    assert Charge.objects.get(request_id="r-1").state == "failed"


def test_a_failure_that_comes_late_changes_nothing(shop, unknown):
    reconcile(unknown, 6 * MINUTE)
    answer = Answer(Outcome.REFUSED)
    settling.record(unknown, Charge.State.FAILED, answer, "test", timezone.now())
    assert Charge.objects.get().state == "succeeded"


@pytest.mark.parametrize(("state", "again"), [("succeeded", 200), ("failed", 201)])
def test_a_person_settles_it_with_a_reason(shop, unknown, state, again):
    settled = settling.settle(
        charge_id=unknown.pk, state=state, reason="Asked the shop", by="mia", now=timezone.now()
    )
    assert settled.state == state
    event = ChargeEvent.objects.latest("id")
    assert (event.state, event.reason, event.by) == (state, "Asked the shop", "mia")
    with pytest.raises(AlreadySettled):
        settling.settle(
            charge_id=unknown.pk, state="failed", reason="x", by="mia", now=timezone.now()
        )
    assert charge(unknown.subscription, "r-2").status_code == again


def test_what_is_under_way_is_not_settled(shop):
    one = make_subscription()
    claimed, _ = claims.claim(one.pk, "r-1", "test", None, timezone.now)
    with pytest.raises(AlreadySettled):
        settling.settle(
            charge_id=claimed.pk, state="failed", reason="x", by="mia", now=timezone.now()
        )


def test_what_happened_to_a_charge_stays(shop, unknown):
    reconcile(unknown, 6 * MINUTE)
    for statement in [
        "DELETE FROM clubs_chargeevent",
        "UPDATE clubs_chargeevent SET reason = 'nothing'",
        "DELETE FROM clubs_charge",
        "UPDATE clubs_charge SET state = 'failed'",
    ]:
        with pytest.raises(Exception, match="Cannot"):
            sql(statement)


def test_a_slow_shop_keeps_one_job_waiting_and_no_second():
    tasks.reconcile.configure().defer(timestamp=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH busy AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id) "
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = busy.id FROM busy"
        )
    tasks.reconcile.configure().defer(timestamp=60)
    work()
    states = ProcrastinateJob.objects.filter(task_name="clubs.reconcile").order_by("id")
    assert list(states.values_list("status", flat=True)) == ["doing", "todo"]
