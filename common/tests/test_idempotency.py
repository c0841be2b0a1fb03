"""Idempotency keys as headers, and bodies that mean the same."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from common.idempotency import fingerprint
from common.models import ApiKey

OPTIONAL, REQUIRED = "/api/v1/border/open/", "/api/v1/border/keyed/"
pytestmark = pytest.mark.urls("common.tests.border")


@pytest.fixture
def service(db):
    _, secret = ApiKey.issue(owner="shop", scopes=["wallet.write"])
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


@pytest.mark.parametrize("key", ["a", "x" * 200, "!~", "a,b", "évt".encode().hex(), '"quoted"'])
def test_a_key_is_1_to_200_visible_ascii_characters_kept_as_they_are(service, key):
    assert service.post(REQUIRED, headers={"Idempotency-Key": key}).json() == {"key": key}


@pytest.mark.parametrize(
    "key", ["", " ", "a b", " a", "x" * 201, "é", "a\x00", "a\x7f", "a\t", "１"]
)
def test_any_other_key_is_bad_input(service, key):
    for response in [
        service.post(REQUIRED, HTTP_IDEMPOTENCY_KEY=key),
        service.get(OPTIONAL, HTTP_IDEMPOTENCY_KEY=key),
    ]:
        assert response.status_code == 400
        (fault,) = response.json()["errors"]
        assert fault["pointer"] == "/Idempotency-Key"


def test_a_key_may_be_required_or_not(service):
    assert service.get(OPTIONAL).json() == {"key": None}
    response = service.post(REQUIRED)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "required"


EVENING = datetime(2026, 11, 20, 20, 30, tzinfo=timezone(timedelta(hours=3)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"n": Decimal("0.05")}, {"n": Decimal("0.050")}),
        ({"n": Decimal("5")}, {"n": Decimal("5.000")}),
        ({"n": Decimal("100")}, {"n": Decimal("1e2")}),
        ({"n": Decimal("0")}, {"n": Decimal("-0.00")}),
        ({"at": EVENING}, {"at": EVENING.astimezone(UTC)}),
        ({"id": UUID(int=5)}, {"id": str(UUID(int=5))}),
        ({"list": [{"a": 1, "b": Decimal(2)}]}, {"list": [{"b": Decimal("2.0"), "a": 1}]}),
    ],
)
def test_bodies_are_compared_by_meaning(one, other):
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "x"}, {"a": "X"}),
        ({"n": Decimal("0.05")}, {"n": Decimal("0.5")}),
        ({"n": Decimal("1000")}, {"n": Decimal("100")}),
        ({"n": Decimal(10**30 + 1)}, {"n": Decimal(10**30)}),
        ({"at": EVENING}, {"at": EVENING.replace(tzinfo=UTC)}),
        ({"at": EVENING}, {"at": EVENING + timedelta(microseconds=1)}),
    ],
)
def test_what_means_something_else_is_something_else(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_never_changes_because_keys_are_for_ever():
    meaning = {"user_id": "5", "amount": 100, "price": Decimal("0.050"), "é": None}
    written = '{"amount": 100, "price": "0.05", "user_id": "5", "é": null}'
    assert fingerprint(meaning) == sha256(written.encode()).digest()


def test_what_has_no_canonical_form_is_a_mistake_of_ours():
    with pytest.raises(TypeError):
        fingerprint({"a": object()})
