"""The back office: everything is seen, decisions add rows, and an unknown charge is settled."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clubs import demo, figures, timeline
from clubs.admin.charges import MonthFilter
from clubs.models import Charge, ChargeEvent, Club, ClubStatusChange, StatusChange, Subscription
from clubs.months import month_of
from clubs.tests.factories import (
    ACTIVE,
    CANCELLED,
    CLOSED,
    DAY,
    INACTIVE,
    LONG_AGO,
    PAUSED,
    decide,
    make_club,
    make_subscription,
    set_club,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


def reader():
    user = User.objects.create_user("reader", is_staff=True)
    names = ["view_club", "view_subscription", "view_charge", "view_chargerun"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def unknown_charge(subscription=None, **values):
    subscription = subscription or make_subscription()
    now = timezone.now()
    return Charge.objects.create(
        subscription=subscription,
        request_id=f"r-{subscription.pk}",
        customer_id="c",
        sku_id="s",
        claimed_at=now,
        **{
            "period": month_of(now),
            "state": "unknown",
            "look_again_at": now + timedelta(minutes=5),
            **values,
        },
    )


@pytest.mark.parametrize("name", ["plan", "months"])
def test_a_page_of_the_clubs_marks_its_own_tab(chief, name):
    page = reverse(f"admin:clubs_{name}")
    assert f'<a href="{page}" aria-current="page">' in chief.get(page).content.decode()
    (other,) = {"plan", "months"} - {name}
    assert f'<a href="{reverse(f"admin:clubs_{other}")}">' in chief.get(page).content.decode()


def test_every_page_of_the_demo_is_there(chief):
    assert demo.load()
    assert not demo.load()
    charge = Charge.objects.filter(state="unknown").first()
    assert charge is not None
    pages = ["club/", "club/add/", "subscription/", "charge/", "chargerun/"]
    pages += ["subscription/who-is-charged/", "subscription/months/"]
    pages += [
        f"club/{club.pk}/{page}/" for club in Club.objects.all() for page in ("change", "status")
    ]
    pages += [f"subscription/{one.pk}/change/" for one in Subscription.objects.all()[:30]]
    pages += [f"charge/{charge.pk}/change/", f"charge/{charge.pk}/settle/"]
    for page in pages:
        assert chief.get(f"/admin/clubs/{page}").status_code == 200, page
    for query in (
        "status=1",
        "status=x",
        f"club__id__exact={Club.objects.first().pk}",
        "q=card-refuse",
    ):
        assert chief.get(f"/admin/clubs/subscription/?{query}").status_code == 200, query
    assert chief.get(f"/admin/clubs/charge/?month={charge.month}&state=unknown").status_code == 200


def test_the_demo_is_the_same_every_time():
    def seen():
        with transaction.atomic():
            demo.load()
            names = ("id", "customer_store_id", "club__name")
            found = sorted(Subscription.objects.values_list(*names))
            states = sorted(StatusChange.objects.values_list("subscription", "status"))
            transaction.set_rollback(True)
        return found, states

    assert seen() == seen()
    assert not Club.objects.exists()


def test_the_demo_has_every_state():
    demo.load()
    now = timezone.now()
    found = {each.status_id_now for each in Subscription.objects.with_status(at=now)}
    assert found == {ACTIVE, CANCELLED, PAUSED}
    clubs = {each.status_id_now for each in Club.objects.with_status(at=now)}
    assert clubs == {ACTIVE, CLOSED, INACTIVE}
    assert StatusChange.objects.filter(effect_date__gt=now, status=PAUSED).exists()
    assert not Charge.objects.filter(period=month_of(now)).exists()


@pytest.mark.parametrize("page", ["club", "subscription", "charge"])
def test_a_list_costs_a_constant_number_of_queries(chief, page):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert chief.get(f"/admin/clubs/{page}/").status_code == 200
        return len(captured)

    unknown_charge()
    few = queries()
    for _ in range(5):
        unknown_charge()
    assert queries() == few


def test_a_decision_adds_a_row_now_or_from_a_date(chief):
    one = make_subscription()
    path = f"/admin/clubs/subscription/{one.pk}/status/"
    said = {"status_id": PAUSED, "effect_date_0": "2031-01-01", "effect_date_1": "12:00",
            "interval": "10", "details": "By phone"}  # fmt: skip
    assert chief.post(path, said).status_code == 302
    planned = StatusChange.objects.filter(subscription=one, effect_date__gt=timezone.now())
    assert [(each.status_id, each.details) for each in planned.order_by("effect_date")] == [
        (PAUSED, "By phone"),
        (ACTIVE, "Automatic return schedule"),
    ]
    assert planned.first().effect_date == datetime(2031, 1, 1, 12, tzinfo=UTC)
    assert chief.post(path, {"status_id": CANCELLED}).status_code == 302
    assert StatusChange.objects.latest("id").status_id == CANCELLED
    assert StatusChange.objects.latest("id").details is None
    assert not planned.filter(effect_date__gt=timezone.now()).exists()
    assert LogEntry.objects.count() == 2
    page = chief.get(f"/admin/clubs/subscription/{one.pk}/change/").content.decode()
    assert "removed by a later decision" in page
    assert "club-cancelled is-planned" in page


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"status_id": PAUSED}, "cannot be paused"),
        ({"status_id": ACTIVE, "interval": "5"}, "Only a pause"),
        ({"status_id": 9}, "valid choice"),
        ({"status_id": ACTIVE, "effect_date_0": "1066-10-14", "effect_date_1": "09:00"}, "1900"),
        ({"status_id": ACTIVE}, "takes nobody in"),
    ],
)
def test_a_refusal_is_told_on_the_form(chief, said, word):
    one = make_subscription(make_club(CLOSED), (CANCELLED, LONG_AGO))
    response = chief.post(f"/admin/clubs/subscription/{one.pk}/status/", said)
    assert response.status_code == 200
    assert word in response.content.decode()
    assert one.history.count() == 1


def test_a_club_is_made_open_and_closed_from_a_date(chief):
    said = {"name": "New", "store_sku": "NEW-1", "status_id": ACTIVE}
    assert chief.post("/admin/clubs/club/add/", said).status_code == 302
    club = Club.objects.get()
    path = f"/admin/clubs/club/{club.pk}/status/"
    said = {"status_id": CLOSED, "effect_date_0": "2031-01-01", "effect_date_1": "00:00"}
    assert chief.post(path, said).status_code == 302
    assert [each.club_status_id for each in club.history.order_by("id")] == [ACTIVE, CLOSED]
    assert "Closed from 2031-01-01" in chief.get("/admin/clubs/club/").content.decode()
    said = {"name": "Renamed", "store_sku": "NEW-2"}
    said |= {"history-TOTAL_FORMS": 0, "history-INITIAL_FORMS": 0}
    assert chief.post(f"/admin/clubs/club/{club.pk}/change/", said).status_code == 302
    assert Club.objects.get().name == "Renamed"
    assert ClubStatusChange.objects.count() == 2


def test_whoever_may_only_look_decides_nothing():
    client = reader()
    charge = unknown_charge()
    for path in (
        f"club/{charge.subscription.club_id}/status/",
        f"subscription/{charge.subscription_id}/status/",
        f"charge/{charge.pk}/settle/",
    ):
        assert client.get(f"/admin/clubs/{path}").status_code == 403
        assert client.post(f"/admin/clubs/{path}", {"status_id": 2}).status_code == 403
    assert client.get("/admin/clubs/subscription/who-is-charged/").status_code == 200
    assert client.get(f"/admin/clubs/charge/{charge.pk}/change/").status_code == 200
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody", is_staff=True))
    for page in ("who-is-charged", "months"):
        assert nobody.get(f"/admin/clubs/subscription/{page}/").status_code == 403


def test_charges_are_found_by_their_month(chief, settings):
    settings.BILLING_TIME_ZONE = "Pacific/Kiritimati"  # where a month begins first
    this = month_of(timezone.now())
    last = month_of(datetime.combine(this, datetime.min.time(), UTC) - 2 * DAY)
    new, old = unknown_charge(period=this), unknown_charge(period=last)

    def listed(month):
        page = chief.get(f"/admin/clubs/charge/?month={month}")
        return [each.pk for each in page.context["cl"].result_list]

    assert listed(new.month) == [new.pk]
    assert listed(old.month) == [old.pk]
    assert listed("nonsense") == [old.pk, new.pk]
    months = MonthFilter(RequestFactory().get("/"), {}, Charge, None).lookup_choices
    assert [each for each, _ in months][:2] == [new.month, old.month]
    assert len(set(months)) == 24


def test_histories_are_not_edited_by_any_form(chief):
    one = make_subscription()
    for page in (f"subscription/{one.pk}/change/", f"subscription/{one.pk}/delete/",
                 "subscription/add/", f"club/{one.club_id}/delete/"):  # fmt: skip
        assert chief.post(f"/admin/clubs/{page}", {}).status_code == 403


def test_an_unknown_charge_is_settled_with_a_reason(chief):
    charge = unknown_charge()
    path = f"/admin/clubs/charge/{charge.pk}/settle/"
    assert chief.post(path, {"state": "failed"}).status_code == 200  # the reason is missing
    assert chief.post(path, {"state": "unknown", "reason": "x"}).status_code == 200
    assert chief.post(path, {"state": "failed", "reason": "No order there"}).status_code == 302
    charge.refresh_from_db()
    assert charge.state == "failed"
    event = ChargeEvent.objects.get()
    assert (event.by, event.reason) == ("admin", "No order there")
    assert "No order there" in LogEntry.objects.get().get_change_message()
    response = chief.post(path, {"state": "succeeded", "reason": "x"})
    assert response.status_code == 200
    assert Charge.objects.get().state == "failed"


def test_who_is_charged_on_a_date_and_why_each_other_is_not(chief):
    now = timezone.now()
    club = make_club()
    rows = {
        "chargeable": make_subscription(club),
        "charged": make_subscription(club),
        "unknown": make_subscription(club),
        "paused": make_subscription(club, (PAUSED, LONG_AGO), (ACTIVE, now + 3 * DAY)),
        "cancelled": make_subscription(club, (CANCELLED, LONG_AGO)),
        "no-status": make_subscription(club, (ACTIVE, None)),
        "club-inactive": make_subscription(make_club(INACTIVE)),
        "club-without-status": make_subscription(make_club(None)),
        "club-without-sku": make_subscription(make_club(sku=None)),
    }
    unknown_charge(rows["charged"], state="succeeded", settled_at=now, look_again_at=None)
    unknown_charge(rows["unknown"])
    path = "/admin/clubs/subscription/who-is-charged/"
    context = chief.get(path).context
    assert {row.id: row.verdict for row in context["rows"]} == {
        one.pk: verdict for verdict, one in rows.items()
    }
    assert {verdict: many for verdict, _, many in context["verdicts"]} == dict.fromkeys(rows, 1)
    one_kind = chief.get(path, {"verdict": "paused"}).context["rows"]
    assert [row.id for row in one_kind] == [rows["paused"].pk]
    later = now + 40 * DAY
    then = chief.get(path, {"at_0": f"{later:%Y-%m-%d}", "at_1": "12:00", "verdict": "chargeable"})
    assert {row.id for row in then.context["rows"]} == {
        rows[each].pk for each in ("chargeable", "charged", "unknown", "paused")
    }
    assert chief.get(path, {"at_0": "x", "at_1": ""}).status_code == 200


def test_the_plan_is_turned_page_by_page(chief):
    club = make_club()
    ids = sorted(make_subscription(club).pk for _ in range(53))
    path = "/admin/clubs/subscription/who-is-charged/"
    first = chief.get(path)
    second = chief.get(path, {"after": first.context["after"]})
    seen = [row.id for page in (first, second) for row in page.context["rows"]]
    assert seen == ids
    assert second.context["after"] == ""


def test_each_month_counts_what_took_effect_in_it():
    now = datetime(2026, 3, 15, tzinfo=UTC)
    one = make_subscription(None, (ACTIVE, LONG_AGO), (PAUSED, datetime(2026, 2, 1, tzinfo=UTC)))
    Subscription.objects.update(create_date=datetime(2026, 1, 31, 23, 59, tzinfo=UTC))
    decide(one.pk, CANCELLED, now + DAY)  # not yet
    decide(one.pk, CANCELLED, datetime(2026, 3, 1, tzinfo=UTC))
    unknown_charge(one, period=datetime(2026, 3, 1, tzinfo=UTC).date(), state="succeeded",
                   settled_at=now, look_again_at=None)  # fmt: skip
    january, february, march = figures.months_until(now, many=3)
    assert (january.new, january.paused) == (1, 0)
    assert (february.new, february.paused, february.cancelled) == (0, 1, 0)
    assert (march.cancelled, march.charged) == (1, 1)
    assert len(figures.months_until(now)) == 12


def test_a_timeline_covers_what_was_and_what_is_planned():
    now = datetime(2026, 3, 15, tzinfo=UTC)
    changes = {now - 100 * DAY: "active", now - 10 * DAY: "paused", now + 20 * DAY: "active"}
    window = timeline.window_of(changes, now)
    lane = timeline.lane("x", changes, window, now)
    assert [(span.kind, span.is_planned) for span in lane.spans] == [
        ("active", False),
        ("paused", False),
        ("paused", True),
        ("active", True),
    ]
    assert sum(span.width for span in lane.spans) == pytest.approx(
        100 - lane.spans[0].left, abs=0.01
    )
    assert "to 2026-04-04" in lane.spans[1].title
    assert all(0 <= place <= 100 for _, place in timeline.months(window))


def test_a_club_that_closes_shows_it(chief):
    one = make_subscription()
    set_club(one.club, CLOSED, timezone.now() - DAY)
    page = chief.get(f"/admin/clubs/subscription/{one.pk}/change/").content.decode()
    assert "club-closed" in page
