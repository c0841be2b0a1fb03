"""Where partners are told: endpoints, their secrets, and switching them off and on."""

import logging
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from common.problems import InvalidInput, NotFound, Problem, fault
from incentives.models import Delivery, EndpointSecret, Partner, WebhookEndpoint
from incentives.partners import addresses, signing

logger = logging.getLogger(__name__)

# How long both signatures are sent, so that a partner can change its secret when it suits.
OVERLAP = timedelta(hours=24)

State = WebhookEndpoint.State


class EndpointExists(Problem):
    status, code, title = 409, "endpoint-exists", "This partner has an endpoint with this address"


class EndpointRetired(Problem):
    status, code, title = 409, "endpoint-retired", "This endpoint was retired"


def expect_reachable(url: str) -> None:
    """Asks a name server, so not inside a transaction. Raises InvalidInput."""
    try:
        addresses.vetted(addresses.place_of(url))
    except addresses.Refused as refused:
        raise InvalidInput(fault("/url", "address-refused", str(refused))) from None


@sensitive_variables("secret")
def add_endpoint(*, partner: Partner, url: str, now: datetime) -> tuple[WebhookEndpoint, str]:
    """A new endpoint, told of what is published from now on, and its secret, shown once.

    Raises InvalidInput for where no webhook goes, EndpointExists.
    """
    expect_reachable(url)
    endpoint = WebhookEndpoint(partner=partner, url=url, created_at=now)
    try:
        with transaction.atomic():
            endpoint.save(force_insert=True)
            secret = new_secret(endpoint, now)
    except IntegrityError:
        raise EndpointExists() from None
    return endpoint, signing.written(secret)


def move_endpoint(*, id: int, url: str, now: datetime) -> WebhookEndpoint:
    """The same endpoint at another address; what is on its way goes there.

    Raises InvalidInput, NotFound, EndpointExists, EndpointRetired.
    """
    expect_reachable(url)
    try:
        with transaction.atomic():
            endpoint = locked(id)
            endpoint.url, endpoint.failures = url, 0
            endpoint.failing_since, endpoint.paused_until = None, None
            endpoint.save(update_fields=["url", "failures", "failing_since", "paused_until"])
    except IntegrityError:
        raise EndpointExists() from None
    return endpoint


@sensitive_variables("secret")
@transaction.atomic
def rotate_secret(*, id: int, now: datetime, overlap: timedelta = OVERLAP) -> str:
    """A new secret, shown once; the old one signs beside it for the overlap, the one before it
    no more. Raises NotFound, EndpointRetired."""
    endpoint = locked(id)
    endpoint.secrets.filter(Q(expires_at__gt=now)).update(expires_at=now)
    endpoint.secrets.filter(expires_at=None).update(expires_at=now + overlap)
    secret = new_secret(endpoint, now)
    return signing.written(secret)


@transaction.atomic
def expire_old_secrets(*, id: int, now: datetime) -> int:
    """Sign with the newest alone from now on: for an old one that became known. Raises NotFound."""
    return locked(id).secrets.filter(expires_at__gt=now).update(expires_at=now)


@sensitive_variables()
def new_secret(endpoint: WebhookEndpoint, now: datetime) -> bytes:
    salt = signing.new_salt()
    secret = signing.secret_of(salt)
    EndpointSecret.objects.create(
        endpoint=endpoint,
        salt=salt,
        fingerprint=signing.fingerprint_of(secret),
        created_at=now,
    )
    return secret


@sensitive_variables()
def secrets_in_use(endpoint: WebhookEndpoint, now: datetime) -> list[bytes]:
    """The newest first. Raises SecretLost when not even that one can be made."""
    found = []
    in_use = endpoint.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=now))
    for each in in_use.order_by("-id"):
        try:
            found.append(signing.secret_of(bytes(each.salt), each.fingerprint))
        except signing.SecretLost:
            # An old one is not worth holding a message up for.
            if each.expires_at is None:
                raise
    return found


def disable(endpoint: WebhookEndpoint, reason: str) -> None:
    """Keep its queue and send nothing; the caller holds it locked."""
    logger.error("Webhook endpoint %d is disabled: %s", endpoint.pk, reason)
    endpoint.state, endpoint.reason = State.DISABLED, reason
    endpoint.save(update_fields=["state", "reason"])


@transaction.atomic
def disable_endpoint(*, id: int, reason: str) -> WebhookEndpoint:
    """Raises NotFound, EndpointRetired."""
    endpoint = locked(id)
    disable(endpoint, reason)
    return endpoint


@transaction.atomic
def enable_endpoint(*, id: int) -> WebhookEndpoint:
    """Go on where it stopped, at once. Raises NotFound, EndpointRetired."""
    endpoint = locked(id)
    endpoint.state, endpoint.reason, endpoint.failures = State.ACTIVE, "", 0
    endpoint.failing_since, endpoint.paused_until = None, None
    endpoint.save(update_fields=["state", "reason", "failures", "failing_since", "paused_until"])
    return endpoint


@transaction.atomic
def retire_endpoint(*, id: int) -> WebhookEndpoint:
    """For ever; what was on its way is dropped. Raises NotFound, EndpointRetired."""
    endpoint = locked(id)
    endpoint.state, endpoint.reason = State.RETIRED, ""
    endpoint.save(update_fields=["state", "reason"])
    endpoint.deliveries.filter(state=Delivery.State.PENDING).update(state=Delivery.State.DROPPED)
    return endpoint


TELL = """
INSERT INTO incentives_delivery (id, endpoint_id, entry_id, state, tries, due_at)
SELECT gen_random_uuid(), %s, id, 'pending', 0, %s FROM incentives_feedentry
WHERE partner_id = %s AND sequence > %s
ON CONFLICT (endpoint_id, entry_id) DO NOTHING
"""


@transaction.atomic
def tell_from(*, id: int, after: int, now: datetime) -> int:
    """Tell an endpoint what was published before it was there; how many messages that makes.

    What it was sent before stays as it is, until it is forgotten. Raises NotFound, EndpointRetired.
    """
    endpoint = locked(id)
    # In the database: a whole feed is more than memory should hold.
    with connection.cursor() as cursor:
        cursor.execute(TELL, [endpoint.pk, now, endpoint.partner_id, after])
        return int(cursor.rowcount)


def locked(id: int) -> WebhookEndpoint:
    found = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=id).first()
    if found is None:
        raise NotFound()
    if found.state == State.RETIRED:
        raise EndpointRetired()
    return found
