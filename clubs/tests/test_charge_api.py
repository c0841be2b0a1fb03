"""POST /subscription/{id}/charge/{request_id}/, with a shop in every mood."""

import json
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from rest_framework.test import APIClient

from clubs import charging, claims
from clubs.fake_shop import Mood, open_shop
from clubs.models import Charge, ChargeEvent
from clubs.tests.conftest import KEY, SECRET
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
    sql,
)
from common.tests.races import at_once
from common.tests.running import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def charge(subscription, request_id="r-1", client=None):
    id = getattr(subscription, "pk", subscription)
    return (client or APIClient()).post(f"/api/v1/subscription/{id}/charge/{request_id}/")


def code(response):
    return response.status_code, response.json()["type"].removeprefix("urn:problem:")


def state():
    return Charge.objects.get().state


def month():
    return f"{timezone.now():%Y-%m}"


def test_the_first_call_places_one_order_of_exactly_this(shop):
    one = make_subscription(id="00000000-0000-0000-000-0000000000000")
    response = charge(one, "Request_1-x")
    assert response.status_code == 201
    assert response.json() == {
        "subscription_id": one.pk,
        "request_id": "Request_1-x",
        "period": month(),
        "state": "succeeded",
        "charged": True,
        "order": {
            "order_id": "order-1",
            "request_id": "Request_1-x",
            "customer_id": one.customer_store_id,
            "sku_id": "BEER-6",
            "status": "placed",
        },
    }
    (call,) = shop.calls
    assert call["request_id"] == "Request_1-x"
    assert json.loads(call["body"]) == {"customer_id": one.customer_store_id, "sku_id": "BEER-6"}
    headers = {name.lower(): value for name, value in call["headers"].items()}
    assert (headers["x-api-key"], headers["x-api-secret"]) == (KEY, SECRET)
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("again", ["r-1", "r-2"])
def test_once_a_month_whatever_the_request_id(shop, again):
    one = make_subscription()
    first = charge(one).json()
    for decision in (None, PAUSED, CANCELLED):
        if decision:
            decide(one.pk, decision, timezone.now())
        response = charge(one, again)
        assert response.status_code == 200
        assert response.json() == {**first, "charged": False}
    assert len(shop.calls) == 1


@pytest.mark.parametrize("status", [PAUSED, CANCELLED])
def test_whoever_paused_or_left_is_not_charged(shop, status):
    one = make_subscription(None, (ACTIVE, LONG_AGO), (status, timezone.now() - DAY))
    assert code(charge(one)) == (409, "subscription-not-eligible")
    assert not shop.calls
    assert not Charge.objects.exists()


def test_whoever_has_no_status_or_no_club_that_charges_is_not_charged(shop):
    nobody = make_subscription()
    sql("DELETE FROM subscription_status_history")
    inactive = make_subscription(make_club(INACTIVE))
    for one in (nobody, inactive):
        assert code(charge(one)) == (409, "subscription-not-eligible")
    set_club(inactive.club, CLOSED, timezone.now())
    assert charge(inactive).status_code == 201


@pytest.mark.parametrize("sku", [None, ""])
def test_a_club_without_a_sku_orders_nothing(shop, sku):
    assert code(charge(make_subscription(make_club(sku=sku)))) == (409, "club-without-sku")
    assert not shop.calls


def test_a_request_id_is_one_subscriptions(shop):
    one, other = make_subscription(), make_subscription()
    charge(one)
    assert code(charge(other)) == (422, "request-id-reused")
    assert len(shop.calls) == 1


@pytest.mark.parametrize(
    "request_id", ["a.b", "a b", "a%2Fb", "..%2Fx", "x" * 65, "%D9%A3", "a%0A"]
)
def test_a_request_id_of_other_characters_is_not_found(shop, request_id):
    assert charge(make_subscription(), request_id).status_code in (400, 404)
    assert not shop.calls


def test_a_subscription_that_is_not_there_is_not_found(shop):
    for id in ("nobody", "a_b", "x" * 37):
        assert code(charge(id)) == (404, "not-found")


def test_a_body_is_not_taken(shop):
    path = f"/api/v1/subscription/{make_subscription().pk}/charge/r-1/"
    assert APIClient().post(path, {"amount": 1}, format="json").status_code == 400
    assert APIClient().post(path, {}, format="json").status_code == 201


def test_without_a_shop_it_says_so(settings):
    one = make_subscription()
    assert code(charge(one)) == (503, "shop-not-configured")
    assert not Charge.objects.exists()


# What the shop does: the answer, the state of the charge, and whether it has the order.
REFUSED, UNKNOWN = (502, "shop-refused"), (504, "shop-outcome-unknown")
OUTCOMES = [
    *[(Mood("refuse", status=status), REFUSED, "failed", 0)
      for status in (400, 401, 402, 403, 404, 408, 410, 422, 429)],
    *[(Mood("fail", status=status), UNKNOWN, "unknown", 0) for status in (500, 502, 503, 504)],
    *[(Mood("redirect", status=status, location="http://127.0.0.1:9/"), UNKNOWN, "unknown", 0)
      for status in (301, 302, 303, 307, 308)],
    (Mood("drop"), UNKNOWN, "unknown", 0),
    (Mood("die"), UNKNOWN, "unknown", 1),
    (Mood("delay", seconds=3), UNKNOWN, "unknown", 1),
    (Mood("drip", seconds=20), UNKNOWN, "unknown", 1),
    (Mood("refuse", status=409), REFUSED, "failed", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("mood", "answer", "expected", "orders"), OUTCOMES, ids=lambda x: getattr(x, "name", None)
)
def test_the_outcome_is_told_as_it_is(shop, mood, answer, expected, orders):
    shop.moods = [mood]
    one = make_subscription()
    response = charge(one)
    assert code(response) == answer  # also of a shop that would have taken the order in the end
    assert response.json()["request_id"] == response["X-Request-ID"]
    assert state() == expected
    assert len(shop.orders) == orders
    assert len(shop.calls) == 1

    shop.moods = []
    other = charge(one, "r-2")
    if expected == "failed":  # the month is free
        assert other.status_code == 201
        assert len(shop.orders) == 1
        return
    assert code(other) == (409, "charge-outcome-unknown")
    assert other.json()["charge_request_id"] == "r-1"
    assert len(shop.calls) == 1
    same = charge(one)
    assert same.status_code == 201
    assert same.json()["charged"] == (orders == 0)
    assert charge(one, "r-2").json()["request_id"] == "r-1"
    assert len(shop.calls) == 2
    assert len(shop.orders) == 1


def test_after_a_failure_the_same_request_id_may_try_again(shop):
    shop.moods = [Mood("refuse", times=1)]
    one = make_subscription()
    assert charge(one).status_code == 502
    assert charge(one).status_code == 201
    assert Charge.objects.get().attempts == 2
    kinds = list(ChargeEvent.objects.order_by("id").values_list("state", flat=True))
    assert kinds == ["claimed", "failed", "claimed", "succeeded"]


def test_after_a_failure_a_pause_counts(shop):
    shop.moods = [Mood("refuse", times=1)]
    one = make_subscription()
    charge(one)
    decide(one.pk, PAUSED, timezone.now())
    assert code(charge(one)) == (409, "subscription-not-eligible")


def test_a_refused_connection_frees_the_month(shop, settings):
    settings.ECOMMERCE_URL = f"http://127.0.0.1:{free_port()}"
    one = make_subscription()
    assert code(charge(one)) == REFUSED
    assert state() == "failed"


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "https://{address}"])
def test_a_shop_that_is_not_there_or_not_itself_frees_the_month(shop, settings, url):
    settings.ECOMMERCE_URL = url.format(address=settings.ECOMMERCE_URL.removeprefix("http://"))
    assert code(charge(make_subscription())) == REFUSED
    assert not shop.calls


def test_a_name_that_takes_all_the_time_to_look_up_leads_to_no_call(shop, monkeypatch):
    look_up = socket.getaddrinfo

    def slowly(*asked, **options):
        time.sleep(1.2)
        return look_up(*asked, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    assert code(charge(make_subscription())) == REFUSED
    assert state() == "failed"
    assert not shop.calls


@pytest.mark.parametrize("words", ["", "{}", "null", " [ ] ", '{"error": "Duplicate"}', "see r-1"])
def test_a_shop_that_had_the_order_is_believed(shop, words):
    shop.moods = [Mood("exists", body=words)]
    response = charge(make_subscription())
    assert response.status_code == 201
    assert (response.json()["state"], response.json()["charged"]) == ("succeeded", False)


@pytest.mark.parametrize(
    "words",
    ['{"error": "customer does not exist"}', "the sku no longer exists", "it doesn't exist"],
)
def test_what_the_shop_denies_is_no_order(shop, words):
    shop.moods = [Mood("exists", body=words)]
    assert code(charge(make_subscription())) == REFUSED
    assert state() == "failed"


def test_without_keys_the_shop_is_asked_and_may_refuse(shop, settings):
    settings.ECOMMERCE_API_KEY = settings.ECOMMERCE_API_SECRET = ""
    assert code(charge(make_subscription())) == REFUSED
    assert state() == "failed"
    assert len(shop.calls) == 1


@pytest.mark.parametrize("attempt", ["refused connection", 401, 403, 404, 429])
def test_a_refusal_proves_nothing_about_an_earlier_attempt(shop, settings, attempt):
    shop.moods = [Mood("die", times=1)]
    one = make_subscription()
    charge(one)
    url = settings.ECOMMERCE_URL
    if attempt == "refused connection":
        settings.ECOMMERCE_URL = f"http://127.0.0.1:{free_port()}"
    else:
        shop.moods = [Mood("refuse", status=attempt)]
    assert code(charge(one)) == UNKNOWN
    assert state() == "unknown"
    settings.ECOMMERCE_URL, shop.moods = url, []
    assert charge(one).json()["charged"] is False
    assert len(shop.orders) == 1


def test_too_many_calls_are_told_to_wait(shop):
    shop.moods = [Mood("refuse", status=429)]
    assert charge(make_subscription())["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ("<html>", None),
        ("[1, 2.5]", [1, 2.5]),
        ('"x"', "x"),
        ('{"n": NaN}', None),
        ('{"n": 1e999}', None),
        ('"\\ud800"', None),
        ('"\\u0000"', None),
        ("[" * 5000, None),
        ('"' + "x" * 70_000 + '"', None),
        ("\ufeff{}", None),
    ],
)
def test_whatever_a_2xx_says_the_order_stands(shop, body, order):
    shop.moods = [Mood("garbage", body=body)]
    response = charge(make_subscription())
    assert response.status_code == 201
    assert response.json()["order"] == order
    assert charge(Charge.objects.get().subscription).json()["order"] == order


def test_a_2xx_that_breaks_off_stands(shop):
    shop.moods = [Mood("broken")]
    response = charge(make_subscription())
    assert (response.status_code, response.json()["order"]) == (201, None)


def test_no_redirect_is_followed(shop):
    with open_shop() as (elsewhere, url):
        shop.moods = [Mood("redirect", location=f"{url}/order/r-1")]
        charge(make_subscription())
        assert not elsewhere.calls


def test_no_proxy_gets_to_see_our_keys(shop, monkeypatch):
    with open_shop() as (proxy, url):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, url)
        assert charge(make_subscription()).status_code == 201
        assert not proxy.calls


def test_the_secrets_stand_nowhere(shop, settings, caplog):
    caplog.set_level(logging.DEBUG)
    answers = []
    moods = [Mood("echo"), *(mood for mood, *_ in OUTCOMES if mood.name not in ("delay", "drip"))]
    for number, mood in enumerate(moods):
        shop.moods = [mood]
        answers.append(charge(make_subscription(), f"r-{number}"))
    settings.ECOMMERCE_URL = f"http://127.0.0.1:{free_port()}"
    answers.append(charge(make_subscription(), "r-x"))
    settings.ECOMMERCE_API_KEY, settings.ECOMMERCE_API_SECRET = f"{KEY}\n", f"{SECRET}\udcff"
    answers.append(charge(make_subscription(), "r-y"))
    assert code(answers[-1]) == REFUSED
    text = b"".join(each.content for each in answers).decode()
    for (table,) in sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(club|sub|proc)'"
    ):
        text += str(sql(f'SELECT * FROM "{table}"'))
    # Also what a log line would write of an exception.
    formatter = logging.Formatter()
    text += "".join(formatter.format(each) for each in caplog.records)
    assert "r-x" in text
    assert KEY not in text
    assert SECRET not in text


@pytest.mark.parametrize("secret", ["s3cret", "t0ps3cret"])
def test_an_order_that_quotes_our_keys_is_not_kept(shop, settings, secret):
    settings.ECOMMERCE_API_KEY = settings.ECOMMERCE_API_SECRET = secret
    shop.moods = [Mood("echo")]
    assert charge(make_subscription()).json()["order"] is None
    shop.moods = [Mood("garbage", body='{"sku": "no-s3crets-here"}')]
    order = charge(make_subscription(), "r-2").json()["order"]
    assert order == {"sku": "no-s3crets-here"}


def test_the_last_instant_of_a_month_and_the_first_of_the_next(shop, settings):
    for zone, edge in [
        ("UTC", datetime(2026, 2, 1, tzinfo=UTC)),
        ("America/Sao_Paulo", datetime(2026, 2, 1, 3, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ]:
        settings.BILLING_TIME_ZONE = zone
        one = make_subscription()

        def at(moment, number, one=one):
            done = charging.charge(
                subscription_id=one.pk, request_id=f"{one.pk}-{number}", clock=lambda: moment
            )
            return done.charge.month, done.has_placed

        tick = timedelta(microseconds=1)
        assert at(edge - tick, 1) == ("2026-01", True)
        assert at(edge - tick, 2) == ("2026-01", False)
        assert at(edge, 3) == ("2026-02", True)
        assert at(edge, 4) == ("2026-02", False)
        # A retry after midnight is the same request still.
        assert at(edge, 1) == ("2026-01", False)


def test_another_zone_does_not_move_what_was_charged(shop, settings):
    one = make_subscription()
    moment = datetime(2026, 4, 1, 1, 30, tzinfo=UTC)
    charging.charge(subscription_id=one.pk, request_id="r-1", clock=lambda: moment)
    settings.BILLING_TIME_ZONE = "America/Sao_Paulo"
    assert Charge.objects.get().month == "2026-04"


@pytest.mark.parametrize("ids", [1, 50])
def test_of_fifty_at_once_one_places_the_order(shop, ids):
    shop.moods = [Mood("delay", seconds=0.2)]
    one = make_subscription()
    calls = [partial(charge, one, f"r-{number % ids}") for number in range(50)]
    responses = at_once(calls)
    placed = [each for each in responses if each.status_code == 201]
    assert len(placed) == 1
    assert placed[0].json()["charged"] is True
    for each in responses:
        if each.status_code == 409:
            assert code(each) == (409, "charge-in-progress")
        elif each.status_code == 200:
            assert each.json() == {**placed[0].json(), "charged": False}
    assert {each.status_code for each in responses} <= {200, 201, 409}
    assert len(shop.calls) == len(shop.orders) == 1


def test_of_two_subscriptions_with_one_request_id_one_gets_it(shop):
    many = [make_subscription() for _ in range(12)]
    responses = at_once([partial(charge, one) for one in many])
    assert sorted(each.status_code for each in responses) == [201] + [422] * 11
    assert len(shop.orders) == 1


def test_no_transaction_is_open_during_the_call(shop):
    shop.moods = [Mood("delay", seconds=0.5)]
    open_ones = []

    def look():
        while not shop.calls:
            pass
        open_ones.extend(
            sql(
                "SELECT query FROM pg_stat_activity WHERE datname = current_database() "
                "AND state LIKE 'idle in%%' AND pid <> pg_backend_pid()"
            )
        )

    one = make_subscription()
    response, _ = at_once([lambda: charge(one), look])
    assert response.status_code == 201
    assert open_ones == []


def test_a_pause_during_the_call_does_not_undo_it(shop):
    shop.moods = [Mood("delay", seconds=0.4)]
    one = make_subscription()

    def pause():
        while not shop.calls:
            pass
        decide(one.pk, PAUSED, timezone.now())

    response, _ = at_once([lambda: charge(one), pause])
    assert response.status_code == 201
    assert charge(one, "r-2").status_code == 200


def test_a_database_that_is_away_means_no_call(shop, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("gone")

    one = make_subscription()
    monkeypatch.setattr(claims, "begin", away)
    assert charge(one).status_code == 503
    assert not shop.calls


def test_it_costs_a_constant_number_of_queries(shop, django_assert_max_num_queries):
    one = make_subscription()
    with django_assert_max_num_queries(20):
        assert charge(one).status_code == 201
    with django_assert_max_num_queries(6):
        assert charge(one).status_code == 200
    assert connection.in_atomic_block is False
