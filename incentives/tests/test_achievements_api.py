"""GET /incentives/achievements/ and POST …/consent/."""

import base64
import uuid
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from common.tests.races import at_once
from conftest import ALICE, BOB
from incentives import achievements
from incentives.models import Achievement
from incentives.tests.worlds import (
    BIRTH,
    awards,
    happened,
    logged,
    member,
    noon,
    offer,
    retracted,
    work,
)

pytestmark = pytest.mark.django_db
ACHIEVEMENTS = "/api/v1/incentives/achievements/"


@pytest.fixture
def birth():
    offer(BIRTH, slug="birth-reported", is_sensitive=True, reward="Box", reward_code="RW-M4XD")
    member(ALICE)
    happened(ALICE, noon(1), "birth_reported", id="birth")
    work()
    return awards(ALICE)[0]


def consent(client, achievement, given):
    path = f"{ACHIEVEMENTS}{getattr(achievement, 'pk', achievement)}/consent/"
    return client.post(path, {"consent": given}, format="json")


def statuses(achievement):
    return list(achievement.changes.order_by("version").values_list("status", flat=True))


def test_an_achievement_explains_itself(alice):
    offer(reward="Pillow", reward_code="RW-7Q2K")
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    page = alice.get(ACHIEVEMENTS).json()
    (shown,) = page["results"]
    achievement = Achievement.objects.get()
    granted_at = shown["granted_at"]
    assert (page["next"], page["previous"]) == (None, None)
    assert shown == {
        "id": str(achievement.pk),
        "programme": "healthy-start",
        "incentive": "five-day-streak",
        "reward": "Pillow",
        "achieved_at": "2026-06-05T16:00:00Z",
        "granted_at": granted_at,
        "status": "released",
        "why": {
            "rule": "“health data logged” happens on 5 days in a row",
            "rule_version": 1,
            "days": [f"2026-06-0{day}" for day in range(1, 6)],
            "history": [
                {"status": "granted", "at": granted_at, "by": "rules", "note": ""},
                {"status": "released", "at": granted_at, "by": "rules", "note": ""},
            ],
        },
    }


def test_a_reward_without_a_partner_is_granted_and_stays_so():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    assert statuses(awards(ALICE)[0]) == ["granted"]


def test_coins_are_in_the_wallet_when_they_are_granted(alice):
    offer(coins=250, reward="250 coins")
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    (coins,) = awards(ALICE)
    assert statuses(coins) == ["granted", "fulfilled"]
    (entry,) = alice.get("/api/v1/wallet/entries/").json()["results"]
    assert (entry["amount"], entry["kind"], entry["reference"]) == (
        250,
        "incentive_reward",
        str(coins.pk),
    )


def test_a_sensitive_one_waits_for_consent(alice, birth):
    assert statuses(birth) == ["pending_consent"]
    response = consent(alice, birth, True)
    assert response.status_code == 200
    assert (response.json()["id"], response.json()["status"]) == (str(birth.pk), "released")
    assert statuses(birth) == ["pending_consent", "granted", "released"]


def test_consent_may_be_repeated_withdrawn_and_given_again(alice, birth):
    given = [False, False, True, True, False, True]
    told = [consent(alice, birth, each).json()["status"] for each in given]
    assert told == ["pending_consent"] * 2 + ["released"] * 2 + ["pending_consent", "released"]
    assert statuses(birth) == [
        "pending_consent",
        "pending_consent",
        "granted",
        "released",
        "pending_consent",
        "granted",
        "released",
    ]


def test_after_fulfilment_consent_cannot_be_withdrawn(alice, birth):
    consent(alice, birth, True)
    achievements.fulfil(id=birth.pk, is_fulfilled=True, by="partner:x", now=timezone.now())
    assert consent(alice, birth, True).status_code == 200
    response = consent(alice, birth, False)
    assert (response.status_code, response.json()["type"]) == (
        409,
        "urn:problem:achievement-closed",
    )


def test_only_sensitive_ones_ask(alice):
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    response = consent(alice, awards(ALICE)[0], True)
    assert (response.status_code, response.json()["type"]) == (
        409,
        "urn:problem:consent-not-needed",
    )


def test_only_the_member_consents(bob, birth):
    missing = consent(bob, uuid.uuid4(), True)
    for response in (consent(bob, birth, True), missing):
        assert response.status_code == 404
        assert response.json()["detail"] == missing.json()["detail"]
    assert statuses(birth) == ["pending_consent"]
    assert bob.get(ACHIEVEMENTS).json()["results"] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"consent": 1}, {"consent": "true"}, {"consent": None}, {"consent": True, "x": 1}, []],
)
def test_consent_is_true_or_false(alice, birth, body):
    response = alice.post(f"{ACHIEVEMENTS}{birth.pk}/consent/", body, format="json")
    assert response.status_code == 400
    assert statuses(birth) == ["pending_consent"]


@pytest.mark.parametrize("id", ["5", "x", "9223372036854775808"])
def test_what_is_no_id_is_not_found(alice, id):
    assert consent(alice, id, True).status_code == 404


def test_a_birth_reported_by_mistake_never_leaves_the_house(alice, birth):
    retracted("birth")
    work()
    assert statuses(birth) == ["pending_consent", "reversed"]
    assert consent(alice, birth, True).status_code == 409


def test_consent_outlives_a_reversal(alice, birth):
    consent(alice, birth, True)
    retracted("birth")
    work()
    happened(ALICE, noon(2), "birth_reported")
    work()
    assert statuses(birth)[-3:] == ["reversed", "granted", "released"]


def test_coins_of_a_sensitive_one_are_paid_with_the_consent(alice):
    offer(BIRTH, slug="birth", is_sensitive=True, coins=70, reward="70 coins")
    member(ALICE)
    happened(ALICE, noon(1), "birth_reported")
    work()
    assert alice.get("/api/v1/wallet/balance/").json()["balance"] == 0
    consent(alice, awards(ALICE)[0], True)
    assert alice.get("/api/v1/wallet/balance/").json()["balance"] == 70


def test_the_newest_come_first_in_pages(alice, django_assert_num_queries):
    member(ALICE)
    offer({"structure": "single", "event": "checkup_completed"}, repeat="every")
    for day in range(1, 31):
        happened(ALICE, noon(day), "checkup_completed")
    work()
    with django_assert_num_queries(2):
        first = alice.get(f"{ACHIEVEMENTS}?page_size=20").json()
    rest = alice.get(first["next"]).json()
    assert (len(first["results"]), len(rest["results"]), rest["next"]) == (20, 10, None)
    assert len({each["id"] for each in first["results"] + rest["results"]}) == 30


def page_of(response):
    assert response.status_code == 200, response.content
    return [each["id"] for each in response.json()["results"]]


def granted_at_once(many):
    """As one evaluation grants them: all in the same moment."""
    rule = offer({"structure": "single", "event": "checkup_completed"}).rules.get()
    now = timezone.now()
    Achievement.objects.bulk_create(
        Achievement(
            incentive=rule.incentive, rule=rule, user_id=ALICE, ordinal=ordinal, version=1,
            status="granted", achieved_at=now, effective_on=now.date(), granted_at=now, days=[],
        )
        for ordinal in range(1, many + 1)
    )  # fmt: skip
    return [str(each.pk) for each in Achievement.objects.order_by("-granted_at", "-id")]


def test_what_was_granted_in_one_moment_is_paged_there_and_back(alice):
    ids = granted_at_once(30)
    there = [alice.get(f"{ACHIEVEMENTS}?page_size=10")]
    while after := there[-1].json()["next"]:
        there.append(alice.get(after))
    assert [page_of(each) for each in there] == [ids[:10], ids[10:20], ids[20:]]
    back = alice.get(there[2].json()["previous"])
    assert page_of(back) == ids[10:20]
    assert page_of(alice.get(back.json()["previous"])) == ids[:10]
    assert page_of(alice.get(back.json()["next"])) == ids[20:]


def test_more_than_a_thousand_of_one_moment_are_all_told(alice):
    ids = granted_at_once(1150)
    found, path = [], f"{ACHIEVEMENTS}?page_size=100"
    while path:
        response = alice.get(path)
        found += page_of(response)
        path = response.json()["next"]
    assert found == ids


@pytest.mark.parametrize(
    "said",
    [
        {"p": "2026-06-05 16:00:00+00:00"},
        {"p": ["2026-06-05 16:00:00+00:00", ""]},
        {"p": ["2026-06-05 16:00:00+00:00", "x"]},
        {"p": ["2026-06-05 16:00:00+00:00", str(uuid.uuid4()), "x"]},
        {"p": ["2026-06-05 16:00:00", str(uuid.uuid4())]},
        {"p": ["2026-06-05", str(uuid.uuid4())]},
        {"p": ["2026-06-05 16:00:00+23:59", str(uuid.uuid4())]},
        {"p": ["2026-06-31 16:00:00+00:00", str(uuid.uuid4())]},
        {"p": ["5", str(uuid.uuid4())]},
    ],
)
def test_a_forged_cursor_is_bad_input(alice, said):
    cursor = base64.b64encode(urlencode(said, doseq=True).encode()).decode()
    response = alice.get(ACHIEVEMENTS, {"cursor": cursor})
    assert response.status_code == 400, response.content
    assert response.json()["errors"][0]["pointer"] == "/cursor"


def test_a_fulfilment_is_final():
    offer(reward_code="RW-7Q2K")
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    pillow = awards(ALICE)[0]
    said = {"id": pillow.pk, "by": "partner:x", "now": timezone.now()}
    for _ in range(2):
        assert achievements.fulfil(is_fulfilled=False, **said).status == "rejected"
    with pytest.raises(achievements.AchievementClosed):
        achievements.fulfil(is_fulfilled=True, **said)
    assert statuses(pillow) == ["granted", "released", "rejected"]


def test_what_is_not_released_cannot_be_fulfilled(birth):
    with pytest.raises(achievements.NotReleased):
        achievements.fulfil(id=birth.pk, is_fulfilled=True, by="partner:x", now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_fulfilment_and_withdrawal_at_once_leave_one_of_them(client_of, birth):
    consent(client_of(ALICE), birth, True)
    now = timezone.now()
    at_once(
        [
            lambda: achievements.fulfil(id=birth.pk, is_fulfilled=True, by="partner:x", now=now),
            lambda: consent(client_of(ALICE), birth, False),
        ]
        * 3
    )
    found = Achievement.objects.get()
    assert (found.status, found.consent) in [("fulfilled", True), ("pending_consent", False)]
    assert found.version == found.changes.count() == 4


def test_other_users_are_unknown(bob, birth):
    assert bob.get(ACHIEVEMENTS).json()["results"] == []
    assert birth.user_id != BOB
