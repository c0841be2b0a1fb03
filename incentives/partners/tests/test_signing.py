"""What we sign, the public library verifies; what somebody touched, it refuses."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from incentives.partners.signing import (
    SecretLost,
    fingerprint_of,
    new_salt,
    secret_of,
    signed_headers,
    written,
)

BODY = '{"type":"achievement.updated","data":{"id":"1"}}'


@pytest.fixture
def secret():
    return secret_of(new_salt())


def test_a_partner_verifies_with_the_public_library(secret):
    headers = signed_headers("msg_1", datetime.now(UTC), BODY, [secret])
    assert Webhook(written(secret)).verify(BODY, headers)["data"] == {"id": "1"}


def test_the_signature_is_the_one_of_the_specification(secret):
    now = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    headers = signed_headers("msg_1", now, BODY, [secret])
    key = base64.b64decode(written(secret).removeprefix("whsec_"))
    said = f"msg_1.{int(now.timestamp())}.{BODY}".encode()
    expected = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1772366400",
        "webhook-signature": f"v1,{expected}",
    }


@pytest.mark.parametrize(
    "touched",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "9999999999"},
        {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()},
        {"webhook-signature": "v2,AAAA"},
    ],
)
def test_a_touched_header_is_refused(secret, touched):
    headers = signed_headers("msg_1", datetime.now(UTC), BODY, [secret])
    with pytest.raises(WebhookVerificationError):
        Webhook(written(secret)).verify(BODY, {**headers, **touched})


def test_a_touched_body_another_secret_and_an_old_message_are_refused(secret):
    headers = signed_headers("msg_1", datetime.now(UTC), BODY, [secret])
    with pytest.raises(WebhookVerificationError):
        Webhook(written(secret)).verify(BODY.replace("1", "2"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(written(secret_of(new_salt()))).verify(BODY, headers)
    old = signed_headers("msg_1", datetime.now(UTC) - timedelta(minutes=6), BODY, [secret])
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(written(secret)).verify(BODY, old)


def test_with_two_signatures_the_old_and_the_new_secret_verify():
    old, new = secret_of(new_salt()), secret_of(new_salt())
    headers = signed_headers("msg_1", datetime.now(UTC), BODY, [new, old])
    for each in [old, new]:
        Webhook(written(each)).verify(BODY, headers)
    alone = signed_headers("msg_1", datetime.now(UTC), BODY, [new])
    with pytest.raises(WebhookVerificationError):
        Webhook(written(old)).verify(BODY, alone)


def test_the_zone_of_the_clock_does_not_matter(secret):
    now = datetime.now(UTC)
    elsewhere = now.astimezone(timezone(timedelta(hours=-11)))
    assert signed_headers("m", now, BODY, [secret]) == signed_headers(
        "m", elsewhere, BODY, [secret]
    )


def test_the_salt_alone_does_not_tell_the_secret(settings):
    salt = new_salt()
    ours = secret_of(salt)
    assert secret_of(salt) == ours
    assert len(ours) == 32
    settings.SECRET_KEY = "another key"
    assert secret_of(salt) != ours


def test_a_new_secret_key_leaves_the_partners_secrets_as_long_as_the_old_one_is_known(settings):
    salt = new_salt()
    ours = secret_of(salt)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key"
    settings.SECRET_KEY_FALLBACKS = [old]
    assert secret_of(salt, fingerprint_of(ours)) == ours
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(SecretLost):
        secret_of(salt, fingerprint_of(ours))
