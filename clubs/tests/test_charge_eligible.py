"""`manage.py charge_eligible`: everybody once, however often it is called or stopped."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from clubs import charging, claims, runs
from clubs.fake_shop import Mood
from clubs.models import Charge, ChargeRun, Subscription
from clubs.months import month_of
from clubs.tests.factories import (
    ACTIVE,
    CANCELLED,
    CLOSED,
    DAY,
    INACTIVE,
    LONG_AGO,
    PAUSED,
    make_club,
    make_subscription,
    sql,
)
from clubs.tests.test_charge_api import charge
from common.tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(shop):
    """Five to charge, and one of each kind that is not."""
    club = make_club()
    many = [make_subscription(club, id=f"s-{number}") for number in range(4)]
    many.append(make_subscription(make_club(CLOSED), id="odd_id"))
    charge(make_subscription(club), "by-hand")
    make_subscription(club, (ACTIVE, LONG_AGO), (PAUSED, timezone.now() - DAY))
    make_subscription(club, (CANCELLED, LONG_AGO))
    make_subscription(make_club(INACTIVE))
    make_subscription(make_club(sku=None), id="no-sku")
    shop.calls.clear()
    return sorted(one.pk for one in many)


def run(capsys, **options):
    call_command("charge_eligible", rate=1000.0, **options)
    return capsys.readouterr()


def test_everybody_eligible_is_charged_once(world, shop, capsys):
    said = run(capsys)
    assert "Charging 6 subscriptions" in said.out
    assert "5 charged, 0 failed, 0 of unknown outcome, 1 passed over." in said.out
    assert "[##############################] 100%  6 of 6" in said.err
    charged = Charge.objects.exclude(request_id="by-hand").values_list("subscription_id", flat=True)
    assert sorted(charged) == world
    month = month_of(timezone.now())
    assert {call["request_id"] for call in shop.calls} == {
        runs.request_id_of(id, month) for id in world
    }
    again = run(capsys)
    assert "Charging 1 subscriptions" in again.out  # the one without a SKU
    assert "0 charged" in again.out
    assert len(shop.calls) == 5


def test_two_at_once_charge_nobody_twice(world, shop):
    at_once([lambda: call_command("charge_eligible", rate=1000.0) for _ in range(3)])
    assert len(shop.orders) == 6
    assert len(shop.calls) == 5
    assert Charge.objects.filter(state="succeeded").count() == 6


def test_a_dry_run_calls_nobody(world, shop, capsys):
    said = run(capsys, dry_run=True).out
    for line in ["Would be charged                        5", "Charged for this month"]:
        assert line in said
    assert not shop.calls
    assert not ChargeRun.objects.exists()
    ahead = run(capsys, dry_run=True, at=timezone.now() + 40 * DAY).out
    assert "Would be charged                        6" in ahead


def test_the_future_is_not_charged(world, shop):
    with pytest.raises(CommandError, match="still to come"):
        call_command("charge_eligible", at=timezone.now() + DAY)


def test_a_past_month_is_charged_to_whoever_is_still_there(shop, capsys):
    then = timezone.now() - 40 * DAY
    club = make_club()
    stayed = make_subscription(club)
    make_subscription(club, (ACTIVE, LONG_AGO), (PAUSED, timezone.now() - DAY))
    make_subscription(club, (ACTIVE, timezone.now() - DAY))
    said = run(capsys, at=then)
    assert "1 charged, 0 failed, 0 of unknown outcome, 1 passed over." in said.out
    done = Charge.objects.get()
    assert (done.subscription_id, done.period) == (stayed.pk, month_of(then))


def test_whoever_fails_does_not_keep_the_others(world, shop, capsys):
    shop.moods = [
        Mood("refuse", only={"request_id": runs.request_id_of("s-1", month_of(timezone.now()))}),
        Mood("die", only={"request_id": runs.request_id_of("s-2", month_of(timezone.now()))}),
    ]
    said = run(capsys)
    assert "3 charged, 1 failed, 1 of unknown outcome, 1 passed over." in said.out
    shop.moods = []
    assert "1 charged" in run(capsys).out  # the failed one; the unknown one is held
    assert len(shop.orders) == 6


def test_a_run_that_was_stopped_goes_on_where_it_was(world, shop, capsys, monkeypatch):
    monkeypatch.setattr(runs, "LARGEST_BATCH", 2)
    now = timezone.now()
    begun, _ = runs.start_run(as_of=now, rate=1000.0, now=now)
    assert runs.advance(begun.pk)
    assert len(shop.calls) <= 2
    said = run(capsys)
    assert "Going on charging 6" in said.out
    assert "5 charged" in said.out
    assert ChargeRun.objects.get().state == "finished"


def test_a_shop_that_is_away_is_waited_for(world, shop, monkeypatch, settings):
    now = timezone.now()
    for number in range(8):
        make_subscription(make_club(), id=f"z-{number}")
    begun, _ = runs.start_run(as_of=now, rate=1000.0, now=now)
    shop.moods = [Mood("refuse", status=429)]
    with pytest.raises(runs.ShopAway):
        runs.advance(begun.pk)
    assert len(shop.calls) < 13
    begun.refresh_from_db()
    assert (begun.state, begun.cursor) == ("running", "")
    shop.moods = []
    while runs.advance(begun.pk):
        pass
    begun.refresh_from_db()
    assert (begun.state, begun.succeeded) == ("finished", 13)


@pytest.fixture
def declined_and_away(shop):
    """A shop that is too busy for the first and the last ones, and declines those between."""
    club = make_club()
    for name in ["a-busy", *(f"d-{number}" for number in range(4))]:
        make_subscription(club, id=name)
    for number in range(20):
        make_subscription(club, id=f"z-{number:02}")
    make_subscription(make_club(sku=None), id="no-sku")
    month = month_of(timezone.now())
    declined = [runs.request_id_of(f"d-{number}", month) for number in range(4)]
    declines = [Mood("refuse", only={"request_id": id}) for id in declined]
    shop.moods = [Mood("refuse", status=429), *declines]
    now = timezone.now()
    begun, _ = runs.start_run(as_of=now, rate=1000.0, now=now)
    return begun, declined


def calls_for(shop, request_ids):
    return sorted(call["request_id"] for call in shop.calls if call["request_id"] in request_ids)


def test_whoever_was_declined_is_not_asked_again_because_the_shop_is_away(declined_and_away, shop):
    begun, declined = declined_and_away
    for _ in range(3):
        with pytest.raises(runs.ShopAway):
            runs.advance(begun.pk)
    assert calls_for(shop, declined) == declined
    begun.refresh_from_db()
    assert (begun.state, begun.failed) == ("running", 4)
    shop.moods = shop.moods[1:]
    while runs.advance(begun.pk):
        pass
    begun.refresh_from_db()
    assert (begun.state, begun.succeeded, begun.failed) == ("finished", 21, 4)
    assert begun.done == begun.total == 26
    assert calls_for(shop, declined) == declined


def test_nor_after_a_batch_whose_process_died(declined_and_away, shop):
    """All that it left are the charges."""
    begun, declined = declined_and_away
    runs.Batch(begun).charge(Subscription.objects.order_by("pk").values_list("pk", flat=True))
    with pytest.raises(runs.ShopAway):
        runs.advance(begun.pk)
    assert calls_for(shop, declined) == declined


def test_the_next_run_asks_whoever_was_declined(declined_and_away, shop, capsys):
    _, declined = declined_and_away
    shop.moods = shop.moods[1:]
    assert "21 charged, 4 failed" in run(capsys).out
    shop.moods = []
    assert "4 charged, 0 failed" in run(capsys).out
    assert calls_for(shop, declined) == sorted(2 * declined)


def test_without_a_shop_it_stops_and_says_so(db):
    make_subscription()
    with pytest.raises(CommandError, match="No shop is configured"):
        call_command("charge_eligible")
    assert ChargeRun.objects.get().state == "stopped"


def test_no_more_calls_than_the_rate_allows(shop):
    for _ in range(6):
        make_subscription()
    began = timezone.now()
    call_command("charge_eligible", rate=10.0)
    assert timezone.now() - began >= timedelta(seconds=0.5)
    assert len(shop.calls) == 6


def test_the_job_waits_in_the_queue_once(world, shop):
    now = timezone.now()
    for _ in range(2):
        runs.start_run(as_of=now, rate=1.0, now=now)
    jobs = "SELECT lock, priority FROM procrastinate_jobs WHERE task_name = 'clubs.charge_next'"
    assert sql(jobs) == [("clubs.runs", -10)]


def test_request_ids_are_the_same_for_a_month_and_fit_any_subscription():
    month = month_of(timezone.now())
    ids = ["s-1", "x" * 36, "odd_id", "é", "日" * 36]
    made = [runs.request_id_of(id, month) for id in ids]
    assert made == [runs.request_id_of(id, month) for id in ids]
    assert len(set(made)) == len(ids)
    assert all(runs.charging.REQUEST_ID.fullmatch(each) for each in made)


def test_the_club_must_have_been_open_at_that_moment_as_well(shop, capsys):
    then = timezone.now() - 40 * DAY
    make_subscription(make_club(at=timezone.now() - DAY))
    said = run(capsys, at=then)
    assert "Charging 0 subscriptions" in said.out
    one = make_subscription(make_club(at=timezone.now() - DAY), id="s-1")
    with pytest.raises(claims.NotEligible):
        charging.charge(subscription_id=one.pk, request_id="r-1", as_of=then)
    assert not shop.calls


def test_a_charge_takes_eleven_statements(shop, django_assert_num_queries):
    one = make_subscription()
    with django_assert_num_queries(11):
        charging.charge(subscription_id=one.pk, request_id="r-1", as_of=timezone.now())


def test_a_slow_call_keeps_nobody_else_waiting(shop, settings, monkeypatch):
    """Whoever has the time takes the next one."""
    settings.ECOMMERCE_TIMEOUT = 1
    for number in range(30):
        make_subscription(id=f"s-{number:02}")
    slow = runs.request_id_of("s-00", month_of(timezone.now()))
    shop.moods = [Mood("hold", only={"request_id": slow}, seconds=2)]
    called = []
    charge_one = runs.Batch.charge_one

    def note(batch, id):
        outcome = charge_one(batch, id)
        called.append(id)
        return outcome

    monkeypatch.setattr(runs.Batch, "charge_one", note)
    call_command("charge_eligible", rate=1000.0)
    assert called.index("s-00") == 29
