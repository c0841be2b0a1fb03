"""Who is calling: the end user whom the gateway names, or a service with its key."""

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.conf import settings
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common.models import ApiKey

if TYPE_CHECKING:  # DRF imports its permission classes before its views
    from rest_framework.views import APIView

CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
USER_UUID = re.compile(CANONICAL_UUID.pattern, re.ASCII | re.IGNORECASE)
USER_BIGINT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
LARGEST_BIGINT = 2**63 - 1


@dataclass(frozen=True)
class EndUser:
    """There is no user table: an id that the gateway vouches for is all there is."""

    id: str


@dataclass(frozen=True)
class Service:
    """The owner of an API key; its idempotency keys are its own."""

    owner: str
    scopes: frozenset[str]


def canonical_user_id(text: str) -> str | None:
    """A UUID in lower case or a BigInt as it is; None for anything else."""
    if USER_UUID.fullmatch(text):
        return str(UUID(text))
    if USER_BIGINT.fullmatch(text) and int(text) <= LARGEST_BIGINT:
        return text
    return None


@dataclass(frozen=True)
class Anybody:
    """Whoever the gateway let through, on a call that names its people itself."""


class Gateway(BaseAuthentication):
    """The border of every call that only the gateway may make."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Any, None]:
        expected = settings.GATEWAY_SECRET
        # A server decodes a header's bytes as Latin-1, whatever they are.
        given = request.META.get("HTTP_X_GATEWAY_SECRET", "").encode("latin-1", "replace")
        if expected and not hmac.compare_digest(given, expected.encode()):
            raise PermissionDenied("This call must come through the gateway.")
        return Anybody(), None

    def authenticate_header(self, request: Request) -> str:
        return 'Gateway realm="x-zmrn-user-id"'


class GatewayUser(Gateway):
    """`x-zmrn-user-id`, believed because only the gateway can reach us."""

    def authenticate(self, request: Request) -> tuple[EndUser, None]:
        super().authenticate(request)
        # A header sent twice arrives joined by a comma, which no id contains.
        user_id = canonical_user_id(request.META.get("HTTP_X_ZMRN_USER_ID", ""))
        if user_id is None:
            raise AuthenticationFailed("x-zmrn-user-id must be a UUID or a positive BigInt.")
        return EndUser(user_id), None


class ServiceKey(BaseAuthentication):
    """`Authorization: Bearer <key>`."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Service, None]:
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise AuthenticationFailed("An API key is needed: Authorization: Bearer <key>.")
        key = ApiKey.in_use(secret.strip())
        if key is None:
            raise AuthenticationFailed("The API key is unknown or revoked.")
        return Service(key.owner, frozenset(key.scopes)), None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="accrue"'


class IsKnown(BasePermission):
    """The default: some authentication said who it is."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return request.user is not None


class HasScope(BasePermission):
    """The key's scopes contain the view's `required_scope`, a property where actions differ."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        scope: str = view.required_scope  # type: ignore[attr-defined]
        if scope in cast("Service", request.user).scopes:
            return True
        raise PermissionDenied(f"The API key lacks the scope {scope}.")
