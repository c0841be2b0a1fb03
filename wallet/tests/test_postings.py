import json

import pytest

from common.models import ApiKey
from conftest import ALICE, BOB, CHARLIE
from wallet import ledger
from wallet.models import Account, Entry

pytestmark = pytest.mark.django_db
URL = "/api/v1/wallet/postings/"


def nothing_was_written():
    return not Entry.objects.exists() and not Account.objects.exists()


def test_a_posting_answers_with_the_entry(post):
    response = post("k1", amount=300, reference="attempt 7", reason="3 newly correct")
    entry = Entry.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "id": entry.pk,
        "user_id": ALICE,
        "amount": 300,
        "balance_after": 300,
        "kind": "quiz_reward",
        "reference": "attempt 7",
        "reason": "3 newly correct",
        "created_at": entry.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert "Idempotent-Replayed" not in response


def test_reference_and_reason_may_be_left_out(post):
    answer = post("k1").json()
    assert (answer["reference"], answer["reason"]) == ("", "")


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 1},
        {"amount": 10**12},
        {"kind": "a" * 50},
        {"kind": "a-b_9"},
        {"reference": "🎁" * 200},
        {"reason": "ağ\n" * 166 + "!!"},
        {"user_id": CHARLIE},
        {"user_id": "1"},
    ],
)
def test_whatever_is_within_the_limits_is_posted(post, body):
    response = post("k1", **body)
    assert response.status_code == 201
    assert body.items() <= response.json().items()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("amount", value) for value in [0, 1.5, 100.0, "100", True, None, [], {}, 10**12 + 1]),
        *(("amount", value) for value in [-(10**12) - 1, 2**63, 10**30, -(10**400)]),
        *(("kind", value) for value in ["", "A", "ü", "a b", "a\n", "a" * 51, "１", None, 5]),
        *(("reference", value) for value in ["x" * 201, None, 5, ["x"], "a\x00b"]),
        *(("reason", value) for value in ["x" * 501, None, True]),
        *(("user_id", value) for value in ["", "0", "042", " 42", "42 ", "-1", "４２", "alice"]),
        *(("user_id", value) for value in [None, 42, True, "9223372036854775808", f"{{{ALICE}}}"]),
        *((name, 1) for name in ["balance_after", "corrects", "id", "version", "owner", "Amount"]),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(post, field, value):
    response = post("k1", **{field: value})
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert [fault["pointer"] for fault in response.json()["errors"]] == [f"/{field}"]
    assert nothing_was_written()


@pytest.mark.parametrize("field", ["user_id", "amount", "kind"])
def test_a_missing_field_is_named(shop, field):
    body = {"user_id": ALICE, "amount": 100, "kind": "gift"}
    del body[field]
    response = shop.post(URL, body, format="json", headers={"Idempotency-Key": "k1"})
    assert response.status_code == 400
    assert response.json()["errors"][0] == {
        "pointer": f"/{field}",
        "code": "required",
        "detail": "This field is required.",
    }


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '"text"',
        "{",
        '{"user_id": "42", "amount": NaN, "kind": "gift"}',
        '{"user_id": "42", "amount": Infinity, "kind": "gift"}',
        '{"user_id": "42", "amount": 1, "amount": 1, "kind": "gift"}',
        '{"user_id": "42", "amount": 1e2, "kind": "gift"}',
        '{"user_id": "42", "amount": 1, "kind": "gift", "reason": "\\ud800"}',
        '{"user_id": "42", "amount": ١, "kind": "gift"}',
        "{'amount': 1}",
    ],
)
def test_what_is_not_a_json_object_of_a_posting_is_refused(shop, body):
    headers = {"Idempotency-Key": "k1"}
    response = shop.generic("POST", URL, body, "application/json", headers=headers)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert nothing_was_written()


# Keys


def test_the_same_key_and_body_show_the_first_answer_again(post):
    first = post("k1", amount=300)
    post("k2", amount=50)
    again = post("k1", amount=300)
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == first.json()
    assert Entry.objects.count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 101},
        {"amount": -100},
        {"user_id": BOB},
        {"kind": "gift"},
        {"reference": "other"},
        {"reason": "other"},
    ],
)
def test_the_same_key_with_another_meaning_is_refused(post, change):
    post("k1")
    response = post("k1", **change)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:problem:idempotency-key-reused"
    assert Entry.objects.count() == 1


def test_bodies_are_compared_by_meaning(post, shop):
    first = post("k1", user_id=ALICE)
    text = (
        f'{{ "reason":"", "kind": "quiz_rew\\u0061rd",\n"amount":100,"user_id":"{ALICE.upper()}" }}'
    )
    again = shop.generic(
        "POST", URL, text, "application/json; charset=utf-8", headers={"Idempotency-Key": "k1"}
    )
    assert (again.status_code, again.json()) == (200, first.json())


def test_keys_are_compared_exactly(post):
    for key in ["k", "K", "k-", "~!@#$%^&*()", "x" * 200]:
        assert post(key).status_code == 201


def test_keys_belong_to_the_owner_of_the_api_key(post, service_of):
    same_owner, other_owner = service_of("shop", "wallet.write"), service_of("bar", "wallet.write")
    first = post("k1", amount=300)
    assert post("k1", other_owner, amount=50).status_code == 201
    replayed = post("k1", same_owner, amount=300)
    assert (replayed.status_code, replayed.json()) == (200, first.json())


def test_a_partner_cannot_take_the_keys_of_our_own_apps(post, service_of):
    post("quiz-reward:7", service_of("quizzes", "wallet.write"), amount=1)
    posted = ledger.post(
        owner="quizzes", key="quiz-reward:7", user_id=ALICE, amount=300, kind="quiz_reward"
    )
    assert (posted.is_replay, posted.balance_after) == (False, 301)


def test_a_rejected_request_does_not_use_its_key_up(post):
    assert post("k1", amount=0).status_code == 400
    assert post("k1", amount=-5).status_code == 409
    assert post("k1", amount=5).status_code == 201


def test_a_posting_needs_a_key(shop):
    response = shop.post(URL, {"user_id": ALICE, "amount": 1, "kind": "gift"}, format="json")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert nothing_was_written()


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ü", "tab\there", "\x7f"])
def test_a_key_is_1_to_200_visible_ascii_characters(post, key):
    response = post(key)
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert nothing_was_written()


# Spending


def test_coins_can_be_spent_to_the_last_and_not_further(post):
    post("earn", amount=100)
    assert post("spend", amount=-100).json()["balance_after"] == 0
    response = post("more", amount=-1)
    assert response.status_code == 409
    assert response.json()["type"] == "urn:problem:insufficient-funds"
    assert Entry.objects.count() == 2


def test_who_has_nothing_cannot_spend_and_gets_no_account(post):
    assert post("spend", amount=-1).status_code == 409
    assert nothing_was_written()


def test_after_a_top_up_the_same_key_works(post):
    assert post("spend", amount=-100).status_code == 409
    post("top-up", amount=150)
    response = post("spend", amount=-100)
    assert (response.status_code, response.json()["balance_after"]) == (201, 50)


def test_a_replay_of_a_spend_shows_it_although_the_coins_are_gone(post):
    post("earn", amount=100)
    first = post("spend", amount=-100)
    again = post("spend", amount=-100)
    assert (again.status_code, again.json()) == (200, first.json())


def test_a_balance_has_a_ceiling(post):
    post("earn", amount=1)
    Account.objects.update(balance=9 * 10**18 - 50)
    response = post("too-much", amount=51)
    assert response.status_code == 409
    assert response.json()["type"] == "urn:problem:balance-limit"
    assert post("just", amount=50).json()["balance_after"] == 9 * 10**18


def test_the_same_user_in_another_case_has_one_account(post):
    post("k1", user_id=ALICE.upper())
    assert post("k2", user_id=ALICE).json()["balance_after"] == 200


# Who may


def test_a_posting_needs_an_api_key(api_client, alice, post):
    for client in [api_client, alice]:
        response = post("k1", client)
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
    assert nothing_was_written()


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic {}", "{}", "Bearer  ", "ü"])
def test_only_a_bearer_of_a_known_key_is_let_in(api_client, post, header):
    api_client.credentials(HTTP_AUTHORIZATION=header.format("accrue_x"))
    assert post("k1", api_client).status_code == 401


def test_a_revoked_key_is_refused_at_once(post, shop):
    assert post("k1").status_code == 201
    ApiKey.objects.get().revoke()
    assert post("k1").status_code == 401


def test_a_key_without_the_scope_is_refused(post, service_of):
    response = post("k1", service_of("reader", "wallet.read"))
    assert response.status_code == 403
    assert response.json()["type"] == "urn:problem:forbidden"
    assert nothing_was_written()


# The wire


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_only_json_is_taken(shop, media):
    body = json.dumps({"user_id": ALICE, "amount": 1, "kind": "gift"})
    response = shop.generic("POST", URL, body, media, headers={"Idempotency-Key": "k1"})
    assert response.status_code == 415
    assert response.json()["type"] == "urn:problem:unsupported-media-type"
    assert nothing_was_written()


def test_a_huge_body_is_refused(post):
    response = post("k1", reason="x" * (5 * 1024 * 1024))
    assert response.status_code == 413
    assert nothing_was_written()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_posting_cannot_be_changed(shop, method):
    assert getattr(shop, method)(URL, {}, format="json").status_code == 405


def test_a_post_without_the_slash_keeps_its_body(shop):
    body = {"user_id": ALICE, "amount": 1, "kind": "gift"}
    headers = {"Idempotency-Key": "k1"}
    response = shop.post(URL.rstrip("/"), body, format="json", headers=headers)
    assert response.status_code == 201


# What a service reconciles with


def test_a_reader_finds_postings_by_kind_and_reference(post, service_of):
    post("k1", reference="a", amount=1)
    post("k2", reference="b", amount=2)
    post("k3", reference="c", amount=3)
    post("k4", reference="a", amount=4, kind="gift")
    reader = service_of("shop", "wallet.read")
    query = f"{URL}?kind=quiz_reward&reference=a&reference=b&page_size=1"
    found = []
    while query:
        page = reader.get(query).json()
        found += [entry["amount"] for entry in page["results"]]
        query = page["next"]
    assert found == [1, 2]


def test_a_service_sees_its_own_postings_alone(post, shop, service_of):
    post("k1")
    assert len(shop.get(URL).json()["results"]) == 1
    assert service_of("accounting", "wallet.read").get(URL).json()["results"] == []


def test_looking_postings_up_needs_a_scope_of_the_wallet(service_of):
    assert service_of("shop", "usage.read").get(URL).status_code == 403


def test_a_query_that_no_text_can_hold_is_bad_input(service_of):
    assert service_of("accounting", "wallet.read").get(f"{URL}?kind=%00").status_code == 400
