"""Who is calling: the end user of the gateway's header, the gateway itself, a service's key."""

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from common.models import ApiKey
from conftest import ALICE

pytestmark = [pytest.mark.urls("common.tests.border"), pytest.mark.django_db]
ECHO, OPEN, CLOSED, KEYED = (
    f"/api/v1/border/{name}/" for name in ["echo", "open", "closed", "keyed"]
)


def get(path, **headers):
    return APIClient().get(path, headers={n.replace("_", "-"): v for n, v in headers.items()})


@pytest.mark.parametrize(
    ("given", "known_as"),
    [
        ("1", "1"),
        ("9223372036854775807", "9223372036854775807"),
        (ALICE, ALICE),
        ("ABCDEF01-2345-6789-ABCD-EF0123456789", "abcdef01-2345-6789-abcd-ef0123456789"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_a_uuid_or_a_bigint_is_a_user_nobody_has_to_know_before(given, known_as):
    assert get(ECHO, x_zmrn_user_id=given).json() == {"user": known_as}


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        " ",
        "0",
        "-1",
        "+5",
        "05",
        "5_0",
        " 5 ",
        "5.0",
        "1e3",
        "0x10",
        "9223372036854775808",
        "99999999999999999999",
        "१२",
        "５",
        "²",
        "null",
        "true",
        "1,2",
        "5,5",
        f"{ALICE},{ALICE}",
        ALICE.replace("-", ""),
        f"{{{ALICE}}}",
        f"urn:uuid:{ALICE}",
        ALICE[:-1],
        f"{ALICE}\n",
        f"{ALICE[:-1]}g",
        "５" + ALICE[1:],
        "5\x00",
        "' OR 1=1 --",
    ],
)
def test_anything_else_is_401_with_a_challenge(given):
    response = get(ECHO, **({} if given is None else {"x_zmrn_user_id": given}))
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Gateway ")
    assert response.json()["type"] == "urn:problem:not-authenticated"


def test_neither_query_nor_body_name_the_user():
    client = APIClient(headers={"x-zmrn-user-id": ALICE})
    assert client.get(f"{ECHO}?user_id=7&x-zmrn-user-id=7").json() == {"user": ALICE}
    assert client.post(ECHO, {"user_id": "7"}, format="json").status_code == 400


@override_settings(GATEWAY_SECRET="s3cret")
@pytest.mark.parametrize("path", [ECHO, OPEN])
@pytest.mark.parametrize("given", [None, "", "S3CRET", "s3cret ", "s3cret,s3cret", "ÿ", "☃"])
def test_without_the_gateways_secret_nothing_is_believed(path, given):
    # The client cannot send what is not Latin-1; a server could hand us anything.
    extra = {} if given is None else {"HTTP_X_GATEWAY_SECRET": given}
    response = APIClient().get(path, HTTP_X_ZMRN_USER_ID=ALICE, **extra)
    assert response.status_code == 403
    assert response.json()["type"] == "urn:problem:forbidden"


@override_settings(GATEWAY_SECRET="s3cret")
def test_the_secret_comes_before_the_user():
    assert get(ECHO).status_code == 403
    assert get(ECHO, x_gateway_secret="s3cret").status_code == 401
    assert get(ECHO, x_gateway_secret="s3cret", x_zmrn_user_id="5").json() == {"user": "5"}
    assert get(OPEN, x_gateway_secret="s3cret").status_code == 200


def test_without_a_secret_set_up_the_gateway_is_believed():
    assert get(ECHO, x_zmrn_user_id="5", x_gateway_secret="whatever").status_code == 200
    assert get(OPEN).status_code == 200


def test_a_view_that_says_nothing_about_its_callers_lets_nobody_in():
    assert get(CLOSED, x_zmrn_user_id=ALICE).status_code in (401, 403)


@pytest.fixture
def key():
    return ApiKey.issue(owner="shop", scopes=["wallet.write"])[1]


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER  {}", "Bearer {} "])
def test_a_key_is_a_bearer_token(key, form):
    assert get(KEYED, authorization=form.format(key)).json() == {"owner": "shop"}


@override_settings(GATEWAY_SECRET="s3cret")
def test_a_service_needs_no_gateway(key):
    assert get(KEYED, authorization=f"Bearer {key}").status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "{}",
        "Basic {}",
        "Token {}",
        "Bearer{}",
        "Bearer {}x",
        "Bearer {},Bearer {}",
        "Bearer \x00",
        "Bearer ÿ",
        "Bearer accrue_unknown",
    ],
)
def test_anything_else_than_a_known_key_is_401(key, form):
    said = {} if form is None else {"authorization": form.format(key, key)}
    response = get(KEYED, **said)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer ")
    assert key not in response.text


def test_the_digest_is_no_key(key):
    assert get(KEYED, authorization=f"Bearer {ApiKey.objects.get().digest}").status_code == 401


def test_a_user_header_is_no_key():
    assert get(KEYED, x_zmrn_user_id=ALICE).status_code == 401


@pytest.mark.parametrize("how", ["revoke", "update", "save"])
def test_a_revoked_key_is_refused_at_once(key, how):
    authorization = f"Bearer {key}"
    assert get(KEYED, authorization=authorization).status_code == 200
    found = ApiKey.objects.get()
    if how == "revoke":
        found.revoke()
    elif how == "update":
        ApiKey.objects.filter(owner="shop").update(revoked_at=found.created_at)
    else:
        found.revoked_at = found.created_at
        found.save()
    assert get(KEYED, authorization=authorization).status_code == 401


def test_a_key_without_the_scope_is_403():
    _, secret = ApiKey.issue(owner="shop", scopes=["wallet.read"])
    response = get(KEYED, authorization=f"Bearer {secret}")
    assert response.status_code == 403
    assert "wallet.write" in response.json()["detail"]


def test_the_last_use_is_noted(key):
    assert ApiKey.objects.get().last_used_at is None
    get(KEYED, authorization=f"Bearer {key}")
    assert ApiKey.objects.get().last_used_at is not None


def test_a_busy_key_costs_no_write_for_every_call(key, django_assert_max_num_queries):
    get(KEYED, authorization=f"Bearer {key}")
    with django_assert_max_num_queries(1):
        get(KEYED, authorization=f"Bearer {key}")
