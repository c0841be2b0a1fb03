"""The partners' API: one's own feed, in order, and one answer to each achievement."""

from functools import partial
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from common.models import ApiKey, Scope
from common.tests.races import at_once
from conftest import ALICE, BOB, CHARLIE
from incentives.models import Achievement, AchievementChange
from incentives.partners import feed
from incentives.partners.contract import FIELDS
from incentives.partners.tests.factories import (
    NOON,
    earn,
    make_partner,
    make_programme,
    make_rule,
    take_back,
)

pytestmark = pytest.mark.django_db
FEED = "/api/v1/incentives/partner/achievements/"


def client_with_key(owner, *scopes):
    _, secret = ApiKey.issue(owner=owner, scopes=list(scopes or [Scope.INCENTIVES_PARTNER]))
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def partner():
    return client_with_key("rewards-co")


@pytest.fixture
def rule():
    return make_rule(make_programme(make_partner()))


def publish(rule, *users):
    earned = [earn(rule, user) for user in users]
    feed.publish_all(now=NOON)
    return earned


def fulfilment(id):
    return f"{FEED}{id}/fulfilment/"


# The feed


def test_the_feed_has_these_fields_and_no_other(partner, rule):
    (earned,) = publish(rule, ALICE)
    answer = partner.get(FEED)
    assert answer.status_code == 200
    assert answer.json().keys() == {"results", "next"}
    (entry,) = answer.json()["results"]
    assert set(entry) == set(FIELDS)
    assert (entry["id"], entry["sequence"], entry["version"]) == (str(earned.pk), 1, 1)
    assert (entry["status"], entry["reward_code"]) == ("granted", "RW-7Q2K")
    assert entry["effective_date"] == "2026-11-19"


def test_page_by_page_everything_comes_once_and_reading_again_is_the_same(partner, rule):
    publish(rule, *(str(user) for user in range(1, 8)))
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = partner.get(FEED, {"after": after, "page_size": 3}).json()
        assert page == partner.get(FEED, {"after": after, "page_size": 3}).json()
        seen += [each["sequence"] for each in page["results"]]
        assert page["next"] == (page["results"][-1]["sequence"] if page["results"] else None)
        after = page["next"]
    assert seen == [1, 2, 3, 4, 5, 6, 7]


def test_a_page_has_a_hundred_entries_at_most(partner, rule, django_assert_max_num_queries):
    publish(rule, *(str(user) for user in range(1, 104)))
    partner.get(FEED)  # the key is looked up
    with django_assert_max_num_queries(2):
        page = partner.get(FEED).json()
    assert (len(page["results"]), page["next"]) == (100, 100)
    assert len(partner.get(FEED, {"after": 100}).json()["results"]) == 3


def test_behind_the_end_there_is_nothing(partner, rule):
    publish(rule, ALICE)
    for after in [1, 2, 2**63 - 1]:
        assert partner.get(FEED, {"after": after}).json() == {"results": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=",
        "after=x",
        "after=1.0",
        "after=+1",
        "after=%201",
        "after=\uff11",
        "after=true",
        "after=9223372036854775808",
        "after=" + "9" * 400,
        "after=%00",
        "after=1&after=2",
        "page_size=0",
        "page_size=101",
        "page_size=x",
        "page_size=1&page_size=1",
    ],
)
def test_a_malformed_parameter_is_named(partner, query):
    answer = partner.get(f"{FEED}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/" + query.partition("=")[0]


def test_a_key_sees_the_feed_of_its_owner_alone(partner, rule):
    publish(rule, ALICE)
    make_partner("shop-two")
    for owner in ["shop-two", "nobody", "Rewards-Co", "rewards-co ", "%"]:
        other = client_with_key(owner)
        assert other.get(FEED).json() == {"results": [], "next": None}


def test_who_is_asked_before_what(rule, alice):
    (earned,) = publish(rule, ALICE)
    stranger = APIClient(headers={"Authorization": "Bearer accrue_unknown"})
    writer = client_with_key("rewards-co", Scope.INCENTIVES_WRITE)
    for client, status in [(APIClient(), 401), (stranger, 401), (alice, 401), (writer, 403)]:
        assert client.get(f"{FEED}?after=x").status_code == status
        answer = client.post(fulfilment(earned.pk), {"status": "x"}, format="json")
        assert answer.status_code == status
    assert "WWW-Authenticate" in APIClient().get(FEED)
    assert Achievement.objects.get().status == "released"


def test_nothing_else_is_done_to_a_feed(partner):
    for method in [partner.post, partner.put, partner.delete, partner.patch]:
        assert method(FEED).status_code == 405


def test_without_its_slash_it_works_too(partner, rule):
    (earned,) = publish(rule, ALICE)
    assert len(partner.get(FEED[:-1]).json()["results"]) == 1
    path = fulfilment(earned.pk)[:-1]
    assert partner.post(path, {"status": "fulfilled"}, format="json").status_code == 200


# Fulfilment


@pytest.mark.parametrize(
    ("status", "opposite"), [("fulfilled", "rejected"), ("rejected", "fulfilled")]
)
def test_the_first_answer_stands(partner, rule, alice, status, opposite):
    (earned,) = publish(rule, ALICE)
    said = {"status": status, "note": "Sent on Monday. Ağ ☃"}
    for _ in range(2):
        answer = partner.post(fulfilment(earned.pk), said, format="json")
        assert (answer.status_code, answer.json()) == (
            200,
            {"id": str(earned.pk), "status": status},
        )
    again = partner.post(fulfilment(earned.pk), {"status": status}, format="json")
    assert again.status_code == 200
    refused = partner.post(fulfilment(earned.pk), {"status": opposite}, format="json")
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:problem:achievement-closed"
    (mine,) = alice.get("/api/v1/incentives/achievements/").json()["results"]
    assert (mine["id"], mine["status"]) == (str(earned.pk), status)
    (change,) = AchievementChange.objects.filter(status=status)
    assert (change.by, change.note) == ("partner:rewards-co", said["note"])


def test_what_this_partner_never_heard_of_is_not_there(partner, rule, alice):
    waiting = earn(make_rule(rule.incentive.programme, is_sensitive=True), BOB)
    (elsewhere,) = publish(make_rule(make_programme(make_partner("shop-two"))), ALICE)
    released = earn(rule, CHARLIE)  # and not yet published
    bodies = set()
    for id in [waiting.pk, elsewhere.pk, released.pk, uuid4()]:
        answer = partner.post(fulfilment(id), {"status": "fulfilled"}, format="json")
        assert answer.status_code == 404
        bodies.add((answer.json()["type"], answer.json()["detail"]))
    assert len(bodies) == 1
    assert not AchievementChange.objects.filter(status="fulfilled").exists()


@pytest.mark.parametrize("id", ["1", "x", "9" * 30, "%00", "11111111-1111-4111-8111-11111111111"])
def test_an_id_that_is_none_is_not_there(partner, id):
    answer = partner.post(fulfilment(id), {"status": "fulfilled"}, format="json")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_what_was_taken_back_is_not_fulfilled_any_more(partner, rule):
    (earned,) = publish(rule, ALICE)
    take_back(earned)
    for _ in range(2):  # also before the partner could read of it
        answer = partner.post(fulfilment(earned.pk), {"status": "fulfilled"}, format="json")
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:problem:not-released"
        feed.publish_all(now=NOON)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/status"),
        ({"status": None}, "/status"),
        ({"status": "done"}, "/status"),
        ({"status": "Fulfilled"}, "/status"),
        ({"status": True}, "/status"),
        ({"status": ["fulfilled"]}, "/status"),
        ({"status": {"a": 1}}, "/status"),
        ({"status": "fulfilled", "note": 5}, "/note"),
        ({"status": "fulfilled", "note": None}, "/note"),
        ({"status": "fulfilled", "note": "x" * 501}, "/note"),
        ({"status": "fulfilled", "note": "\x00"}, "/note"),
        ({"status": "fulfilled", "member": ALICE}, "/member"),
        ([], ""),
        ("fulfilled", ""),
    ],
)
def test_a_body_is_taken_at_its_word(partner, rule, body, pointer):
    (earned,) = publish(rule, ALICE)
    answer = partner.post(fulfilment(earned.pk), body, format="json")
    assert answer.status_code == 400
    assert pointer in [each["pointer"] for each in answer.json()["errors"]]
    assert Achievement.objects.get().status == "released"


def test_a_note_may_be_empty_or_long(partner, rule):
    for user, note in [(ALICE, ""), (BOB, "x" * 500)]:
        (earned,) = publish(rule, user)
        said = {"status": "fulfilled", "note": note}
        assert partner.post(fulfilment(earned.pk), said, format="json").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_opposite_answers_at_once_one_stands():
    rule = make_rule(make_programme(make_partner()))
    (earned,) = publish(rule, ALICE)
    clients = [client_with_key("rewards-co") for _ in range(6)]
    said = ["fulfilled", "rejected"] * 3
    calls = [
        partial(client.post, fulfilment(earned.pk), {"status": status}, format="json")
        for client, status in zip(clients, said, strict=True)
    ]
    answers = at_once(calls)
    stands = Achievement.objects.get().status
    for status, answer in zip(said, answers, strict=True):
        assert answer.status_code == (200 if status == stands else 409)
    assert AchievementChange.objects.filter(status__in=set(said)).count() == 1
