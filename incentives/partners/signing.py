"""Signatures of Standard Webhooks, and secrets that stand in no database."""

# A secret is worked out from SECRET_KEY and a random salt whenever it is needed: who reads the
# database, or a backup of it, cannot sign.

import base64
import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables
from standardwebhooks import Webhook

NAMESPACE = "incentives.partners.webhook-secret"
SALT_BYTES = 16


class SecretLost(Exception):
    """No SECRET_KEY that we know makes this secret: it has to be rotated."""


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


@sensitive_variables()
def secret_of(salt: bytes, fingerprint: str | None = None) -> bytes:
    """32 bytes; with a fingerprint, those of the SECRET_KEY under which they were given out.

    Raises SecretLost when neither SECRET_KEY nor one of SECRET_KEY_FALLBACKS is that one.
    """
    for key in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
        found = salted_hmac(NAMESPACE, salt.hex(), secret=key, algorithm="sha256").digest()
        if fingerprint is None or constant_time_compare(fingerprint_of(found), fingerprint):
            return found
    raise SecretLost


@sensitive_variables()
def fingerprint_of(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


@sensitive_variables()
def written(secret: bytes) -> str:
    """As partners get it and every library of Standard Webhooks reads it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


@sensitive_variables("each_secret", "each")
def signed_headers(
    webhook_id: str, now: datetime, body: str, each_secret: Iterable[bytes]
) -> dict[str, str]:
    """One signature for each secret, so that a receiver with the old or the new one is content."""
    # The library takes any time for UTC.
    now = now.astimezone(UTC)
    signatures = [Webhook(each).sign(webhook_id, now, body) for each in each_secret]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
