"""The wallet's API: balances and entries for their owners, postings for services."""

from typing import cast

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from common.idempotency import required_key_of
from common.identity import EndUser, GatewayUser, HasScope, Service, ServiceKey
from common.pagination import CursorPage
from common.renderers import Answer
from wallet import ledger
from wallet.models import Account, Entry
from wallet.serializers import BalanceSerializer, EntrySerializer, NewPosting, PostingSerializer

KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 200 visible ASCII characters, for ever.",
)


class BalanceViewSet(viewsets.GenericViewSet[Account]):
    authentication_classes = [GatewayUser]
    pagination_class = None

    @extend_schema(responses=BalanceSerializer)
    def list(self, request: Request) -> Response:
        """The caller's balance: 0 for whoever was never seen, and nothing is written for it."""
        user_id = cast("EndUser", request.user).id
        return Response({"user_id": user_id, "balance": Account.objects.balance_of(user_id)})


class NewestVersionFirst(CursorPage):
    ordering = "-version"


class EntryViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Entry]):
    """The caller's entries, newest first."""

    authentication_classes = [GatewayUser]
    pagination_class = NewestVersionFirst
    serializer_class = EntrySerializer
    queryset = Entry.objects.none()

    def get_queryset(self) -> QuerySet[Entry]:
        return Entry.objects.filter(account=cast("EndUser", self.request.user).id)


class OldestFirst(CursorPage):
    ordering = "id"


class PostingViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Entry]):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    pagination_class = OldestFirst
    serializer_class = PostingSerializer
    queryset = Entry.objects.none()

    def get_queryset(self) -> QuerySet[Entry]:
        found = Entry.objects.filter(owner=self.owner)
        if kind := self.request.query_params.get("kind"):
            found = found.filter(kind=kind)
        if references := self.request.query_params.getlist("reference"):
            found = found.filter(reference__in=references)
        return found

    @property
    def required_scope(self) -> str:
        is_reader = "wallet.read" in self.service.scopes
        return (
            "wallet.read" if is_reader and self.request.method in SAFE_METHODS else "wallet.write"
        )

    @property
    def service(self) -> Service:
        return cast("Service", self.request.user)

    @property
    def owner(self) -> str:
        # The prefix keeps a partner, whatever its name, off the keys of our own apps.
        return f"api:{self.service.owner}"

    @extend_schema(
        parameters=[
            OpenApiParameter("kind", str),
            OpenApiParameter("reference", str, many=True, description="Any of these."),
        ]
    )
    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        """The caller's own postings, oldest first: what it reconciles its claims with."""
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request=NewPosting,
        parameters=[KEY],
        responses={201: PostingSerializer, 200: PostingSerializer},
    )
    def create(self, request: Request) -> Answer:
        """Post coins to a wallet, once for each key: a replay answers 200 with the first entry."""
        key = required_key_of(request)
        posted = ledger.post(owner=self.owner, key=key, **NewPosting.read(request.data))
        return Answer(
            posted.as_json(),
            status.HTTP_200_OK if posted.is_replay else status.HTTP_201_CREATED,
            headers={"Idempotent-Replayed": "true"} if posted.is_replay else None,
        )
