"""GET /subscription/eligible/."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from clubs import eligibility
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

PATH = "/api/v1/subscription/eligible/"


@pytest.fixture
def chunks_of(monkeypatch):
    def cut(first, others):
        monkeypatch.setattr(eligibility, "FIRST_IDS", first)
        monkeypatch.setattr(eligibility, "IDS_PER_CHUNK", others)

    return cut


def eligible(client=None, at=None, path=PATH):
    response = (client or APIClient()).get(path, {"at": at.isoformat()} if at else {})
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return json.loads(response.getvalue())


@pytest.mark.django_db
def test_nobody_is_an_empty_list(client):
    assert client.get(PATH).getvalue() == b"[]"


@pytest.mark.django_db
def test_who_does_not_want_it_as_it_comes_gets_it_whole(client):
    one = make_subscription()
    response = client.get(PATH)
    assert response.json() == json.loads(response.content) == [one.pk]


@pytest.mark.django_db
@pytest.mark.parametrize("club_status", [ACTIVE, CLOSED, INACTIVE, None])
@pytest.mark.parametrize("status", [ACTIVE, CANCELLED, PAUSED])
def test_only_active_ones_of_active_or_closed_clubs(status, club_status):
    one = make_subscription(make_club(club_status), (status, LONG_AGO))
    is_in = status == ACTIVE and club_status in (ACTIVE, CLOSED)
    assert eligible() == ([one.pk] if is_in else [])


@pytest.mark.django_db
def test_what_is_planned_takes_effect_without_a_job(client):
    now = timezone.now()
    club = make_club()
    back = make_subscription(club, (PAUSED, now - 40 * DAY), (ACTIVE, now - 10 * DAY))
    leaving = make_subscription(club, (ACTIVE, LONG_AGO), (CANCELLED, now + DAY))
    paused = make_subscription(club, (PAUSED, now - DAY), (ACTIVE, now + 2 * DAY))
    set_club(club, INACTIVE, now + 4 * DAY)
    make_subscription(club, (ACTIVE, None))
    assert eligible() == sorted([back.pk, leaving.pk])
    assert eligible(at=now + 2 * DAY) == sorted([back.pk, paused.pk])
    assert eligible(at=now + 2 * DAY - timedelta(microseconds=1)) == [back.pk]
    assert eligible(at=now + 4 * DAY) == []
    assert eligible(at=now - 20 * DAY) == [leaving.pk]


@pytest.mark.django_db
def test_ids_are_told_as_they_are_and_in_one_order():
    club = make_club()
    ids = ["b", "B", "a-1", "00000000-0000-0000-000-0000000000000", "é", "a_1", "日本"]
    for id in ids:
        make_subscription(club, id=id)
    assert eligible() == sorted(ids, key=str.encode)


@pytest.mark.django_db
def test_it_comes_in_chunks_that_make_one_list(client, chunks_of):
    chunks_of(1, 2)
    club = make_club()
    for number in range(5):
        make_subscription(club, id=f"s{number}")
        response = client.get(PATH)
        chunks = list(response.streaming_content)
        assert json.loads(b"".join(chunks)) == [f"s{each}" for each in range(number + 1)]
    assert len(chunks) == 4  # 1, 2, 2, and the end


@pytest.mark.django_db(transaction=True)
def test_it_tells_one_moment_however_long_it_takes(client, chunks_of):
    chunks_of(1, 1)
    club = make_club()
    for number in range(3):
        make_subscription(club, id=f"s{number}")
    response = client.get(PATH)
    parts = iter(response.streaming_content)
    received = next(parts)
    at_once(
        [lambda: decide("s2", CANCELLED, timezone.now()), lambda: make_subscription(club, id="s9")]
    )
    assert json.loads(received + b"".join(parts)) == ["s0", "s1", "s2"]
    assert not connection.in_atomic_block
    assert eligible() == ["s0", "s1", "s9"]


@pytest.mark.django_db(transaction=True)
def test_whoever_stops_listening_leaves_no_transaction_behind(client, chunks_of):
    chunks_of(1, 1)
    for number in range(3):
        make_subscription(id=f"s{number}")
    response = client.get(PATH)
    next(iter(response.streaming_content))
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    (begun,) = at_once([lambda: sql(open_ones)])
    response.close()
    del response
    (left,) = at_once([lambda: sql(open_ones)])
    assert begun[0][0] - left[0][0] == 1
    assert len(eligible()) == 3


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_said_before_the_first_byte(client, monkeypatch):
    def away(at):
        raise OperationalError("gone")

    monkeypatch.setattr(eligibility, "charging_clubs", away)
    response = client.get(PATH)
    assert response.status_code == 503
    assert response["Content-Type"] == "application/problem+json"
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("days", [-3, 0, 3])
def test_one_index_alone_tells_it_and_in_its_order(days):
    club = make_club()
    for number in range(300):
        make_subscription(club, id=f"s{number:03}")
    sql("VACUUM ANALYZE clubs_period")
    values = {"at": timezone.now() + days * DAY, "after": "", "limit": 20}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which is best for so few
        cursor.execute(f"EXPLAIN {eligibility.CHUNK}", {**values, "clubs": [club.pk]})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using clubs_period_active" in plan, plan
    assert "Sort" not in plan


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["at=", "at=x", "at=2026-02-30T00:00:00", "at=5", "at=2026-01-01&at=2026-01-01"]
)
def test_an_instant_that_is_none_is_refused(client, query):
    response = client.get(f"{PATH}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/at"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "at",
    [
        "2026-01-01T00:00:00",
        "2026-01-01T01:00:00+01:00",  # its plus not encoded
        "2026-01-01T01:00:00%2B01:00",
        "2025-12-31T21:00:00-0300",
        "2026-01-01%2000:00:00Z",
    ],
)
def test_an_instant_may_be_written_in_many_ways(client, at):
    one = make_subscription(None, (ACTIVE, "2026-01-01T00:00:00Z"))
    assert json.loads(client.get(f"{PATH}?at={at}").getvalue()) == [one.pk]
    before = quote("2025-12-31T23:59:59.999999Z")
    assert json.loads(client.get(f"{PATH}?at={before}").getvalue()) == []


@pytest.mark.django_db
def test_an_id_that_would_break_the_list_is_refused_by_the_database():
    club = make_club()
    for id in ('a"b', "a\\b", "a\nb"):
        with pytest.raises(Exception, match="subscription_id_is_plain"), transaction.atomic():
            sql(
                "INSERT INTO subscription (id, club_id, customer_store_id) VALUES (%s, %s, 'x')",
                id,
                club.pk,
            )


@pytest.mark.django_db
def test_the_gateway_is_its_border(client, settings):
    settings.GATEWAY_SECRET = "s3cret"
    assert client.get(PATH).status_code == 403
    assert client.get(PATH, headers={"x-gateway-secret": "s3cret"}).status_code == 200
