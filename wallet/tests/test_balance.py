import pytest

from conftest import ALICE, CHARLIE
from wallet import ledger
from wallet.models import Account

pytestmark = pytest.mark.django_db
URL = "/api/v1/wallet/balance/"


def credit(user_id, amount, key="credit"):
    return ledger.post(owner="tests", key=key, user_id=user_id, amount=amount, kind="gift")


def test_the_balance_is_the_sum_of_what_was_posted(alice):
    credit(ALICE, 300, "one")
    credit(ALICE, -100, "two")
    assert alice.get(URL).json() == {"user_id": ALICE, "balance": 200}


def test_who_was_never_seen_has_nothing_and_gets_no_row(charlie, django_assert_num_queries):
    with django_assert_num_queries(1):
        response = charlie.get(URL)
    assert (response.status_code, response.json()) == (200, {"user_id": CHARLIE, "balance": 0})
    assert not Account.objects.exists()


def test_a_uuid_in_upper_case_is_the_same_user(client_of):
    credit(ALICE, 300)
    assert client_of(ALICE.upper()).get(URL).json() == {"user_id": ALICE, "balance": 300}


def test_nobody_sees_another_balance_by_naming_its_owner(bob):
    credit(ALICE, 300)
    for response in [bob.get(URL, {"user_id": ALICE}), bob.get(URL + f"?x-zmrn-user-id={ALICE}")]:
        assert response.json()["balance"] == 0


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "0",
        "042",
        "+42",
        "-1",
        "42.0",
        " 42",
        "9223372036854775808",
        "42,43",
        f"{{{ALICE}}}",
        f"urn:uuid:{ALICE}",
        ALICE.replace("-", ""),
        "alice",
        "٤٢",
    ],
)
def test_a_header_that_names_nobody_is_refused(client_of, user_id):
    response = client_of(user_id).get(URL)
    assert response.status_code == 401
    assert response["WWW-Authenticate"]
    assert response.json()["type"] == "urn:problem:not-authenticated"


def test_without_a_header_nobody_is_known(api_client):
    assert api_client.get(URL).status_code == 401


def test_an_api_key_is_no_end_user(shop):
    assert shop.get(URL).status_code == 401


def test_the_gateway_must_say_its_secret_where_there_is_one(client_of, settings):
    settings.GATEWAY_SECRET = "the gateway's"
    assert client_of(ALICE).get(URL).status_code == 403
    assert client_of(ALICE).get(URL, headers={"x-gateway-secret": "wrong"}).status_code == 403
    answer = client_of(ALICE).get(URL, headers={"x-gateway-secret": "the gateway's"})
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_balance_can_only_be_read(alice, method):
    response = getattr(alice, method)(URL, {}, format="json")
    assert response.status_code == 405
    assert response.json()["type"] == "urn:problem:method-not-allowed"


def test_the_path_works_without_its_slash(alice):
    assert alice.get(URL.rstrip("/")).status_code == 200
