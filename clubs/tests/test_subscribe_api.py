"""POST /club/{id}/subscribe/."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from clubs import services
from clubs.models import StatusChange, Subscription
from clubs.tests.factories import ACTIVE, CLOSED, DAY, INACTIVE, make_club, set_club, sql
from common.tests.races import at_once

SAMPLE = "00000000-0000-0000-000-0000000000000"  # the brief's own, which is no canonical UUID


def subscribe(client, club, customer=SAMPLE, **headers):
    path = f"/api/v1/club/{getattr(club, 'pk', club)}/subscribe/"
    return client.post(path, {"customer_id": customer}, format="json", headers=headers)


@pytest.mark.django_db
def test_a_customer_of_an_active_club_is_active_at_once(client):
    club = make_club()
    response = subscribe(client, club)
    assert response.status_code == 201
    body = response.json()
    made = Subscription.objects.get()
    assert body == {
        "id": made.pk,
        "club_id": club.pk,
        "customer_id": SAMPLE,
        "status_id": ACTIVE,
        "create_date": made.create_date.isoformat().replace("+00:00", "Z"),
    }
    (change,) = made.history.all()
    assert (change.status_id, change.effect_date) == (ACTIVE, made.create_date)
    assert client.get("/api/v1/subscription/eligible/").getvalue() == b'["%s"]' % made.pk.encode()


@pytest.mark.django_db
@pytest.mark.parametrize("status", [CLOSED, INACTIVE, None])
def test_only_an_active_club_takes_anybody_in(client, status):
    response = subscribe(client, make_club(status))
    assert response.status_code == 409
    assert response.json()["type"] == "urn:problem:club-not-active"
    assert not Subscription.objects.exists()


@pytest.mark.django_db
def test_a_club_opens_and_closes_when_it_was_decided(client):
    now = timezone.now()
    club = make_club(None)
    set_club(club, ACTIVE, None)  # never in effect
    set_club(club, ACTIVE, now + DAY)
    assert subscribe(client, club).status_code == 409
    tomorrow = services.subscribe(club_id=club.pk, customer_id="1", clock=lambda: now + DAY)
    assert tomorrow.create_date == now + DAY
    same = now - DAY
    set_club(club, ACTIVE, same)
    assert subscribe(client, club, "2").status_code == 201
    set_club(club, CLOSED, same)  # the later of two with one date
    assert subscribe(client, club, "3").status_code == 409


@pytest.mark.django_db
def test_once_for_ever_even_after_a_cancellation(client):
    club = make_club()
    first = subscribe(client, club).json()["id"]
    services.change_status(subscription_id=first, status_id=2)
    again = subscribe(client, club)
    assert again.status_code == 409
    assert again.json()["type"] == "urn:problem:already-subscribed"
    assert again.json()["subscription_id"] == first
    assert subscribe(client, make_club()).status_code == 201
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("INSERT INTO subscription (id, club_id, customer_store_id) VALUES ('x', %s, %s)",
            club.pk, SAMPLE)  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"customer_id": ""},
        {"customer_id": "a" * 37},
        {"customer_id": "a_b"},
        {"customer_id": "٣"},
        {"customer_id": "a\n"},
        {"customer_id": 5},
        {"customer_id": None},
        {"customer_id": "a", "status_id": 1},
        [],
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(client, body):
    response = client.post(f"/api/v1/club/{make_club().pk}/subscribe/", body, format="json")
    assert response.status_code == 400
    assert not Subscription.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("id", ["9", "0", "-1", "07", "x", "٣", str(2**63), "9" * 30, "1.0", "%20"])
def test_a_club_that_is_not_there_is_not_found(client, id):
    assert subscribe(client, id).status_code == 404


@pytest.mark.django_db
def test_a_key_gives_one_answer(client):
    club = make_club()
    key = {"Idempotency-Key": "k"}
    first, again = (subscribe(client, club, "a", **key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert subscribe(client, club, "b", **key).status_code == 422
    assert subscribe(client, make_club(), "a", **key).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_of_fifty_at_once_one_subscribes():
    club = make_club()
    responses = at_once([lambda: subscribe(APIClient(), club) for _ in range(50)])
    assert sorted(each.status_code for each in responses) == [201] + [409] * 49
    made = Subscription.objects.get()
    assert StatusChange.objects.count() == 1
    told = {each.json()["subscription_id"] for each in responses if each.status_code == 409}
    assert told == {made.pk}


@pytest.mark.django_db(transaction=True)
def test_nobody_slips_in_while_a_club_is_being_closed():
    club = make_club()
    answers = []

    def ask():
        answers.append(subscribe(APIClient(), club))
        connection.close()

    with transaction.atomic():
        set_club(club, CLOSED, timezone.now() - timedelta(seconds=1))
        asking = Thread(target=ask)
        asking.start()
        asking.join(0.5)
        assert asking.is_alive()
    asking.join()
    assert answers[0].status_code == 409


@pytest.mark.django_db
def test_it_costs_a_constant_number_of_queries(client, django_assert_max_num_queries):
    club = make_club()
    with django_assert_max_num_queries(10):
        assert subscribe(client, club).status_code == 201
