"""The clubs' API: subscribing, deciding, who is eligible, and charging."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clubs import charging, services
from clubs.eligibility import eligible_json
from clubs.models import Status, StatusChange
from clubs.serializers import (
    ChargeSerializer,
    NewStatus,
    NewSubscription,
    SubscriptionDetailSerializer,
    SubscriptionSerializer,
    as_json,
    history_of,
)
from common.idempotency import answer_once, key_of
from common.identity import Gateway
from common.problems import InvalidInput, NotFound, fault
from common.query import instant
from common.renderers import Stream
from common.serializers import Nothing

# All these calls are the gateway's, so it is whom the keys belong to.
GATEWAY = "gateway"
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 visible ASCII characters, for ever.",
)
AT = OpenApiParameter("at", datetime, description="Another instant than now.")


class Subscribe(APIView):
    authentication_classes = [Gateway]

    @extend_schema(
        request=NewSubscription,
        parameters=[KEY, OpenApiParameter("id", int, OpenApiParameter.PATH)],
        responses={201: SubscriptionSerializer, 200: SubscriptionSerializer},
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        """A customer subscribes to an active club, once for ever."""
        body = NewSubscription.read(request.data)
        if not services.CLUB_ID.fullmatch(id) or int(id) > services.LARGEST_ID:
            raise NotFound()

        def act() -> dict[str, Any]:
            made = services.subscribe(club_id=int(id), customer_id=body["customer_id"])
            return as_json(made, Status.ACTIVE)

        meaning = {"call": "subscribe", "club": int(id), **body}
        return answer_once(owner=GATEWAY, key=key_of(request), meaning=meaning, act=act)


class ChangeStatus(APIView):
    authentication_classes = [Gateway]

    @extend_schema(
        request=NewStatus, parameters=[KEY], responses={200: SubscriptionDetailSerializer}
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        """Pause, cancel or activate a subscription, now or from a date."""
        body = NewStatus.read(request.data)
        if not services.SUBSCRIPTION_ID.fullmatch(id):
            raise NotFound()

        def act() -> dict[str, Any]:
            subscription, now = services.change_status(subscription_id=id, **body)
            changes = StatusChange.objects.filter(subscription=subscription)
            now_in = services.status_at(changes, now)
            return {**as_json(subscription, now_in), "history": history_of(changes)}

        meaning = {"call": "status", "subscription": id, **body}
        return answer_once(owner=GATEWAY, key=key_of(request), meaning=meaning, act=act, status=200)


class Eligible(APIView):
    authentication_classes = [Gateway]

    @extend_schema(
        parameters=[AT],
        responses={
            (200, "application/json"): OpenApiResponse(
                {"type": "array", "items": {"type": "string"}}
            )
        },
    )
    def get(self, request: Request) -> Stream:
        """The ids of all subscriptions that may be charged, in the order of their bytes."""
        chunks = eligible_json(instant_of(request) or timezone.now())
        # What goes wrong before the first chunk is still a problem with a status of its own.
        first = next(chunks)
        return Stream(resumed(first, chunks))


def instant_of(request: Request) -> datetime | None:
    given = request.query_params.getlist("at")
    if not given:
        return None
    if len(given) > 1:
        raise InvalidInput(fault("/at", "repeated", "Ask for one instant."))
    try:
        return instant(given[0])
    except ValidationError as error:
        raise ValidationError({"at": error.detail}) from None


def resumed(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    with closing(rest):  # type: ignore[type-var]  # it is a generator
        yield first
        yield from rest


class ChargeSubscription(APIView):
    authentication_classes = [Gateway]

    @extend_schema(request=None, responses={201: ChargeSerializer, 200: ChargeSerializer})
    def post(self, request: Request, id: str, request_id: str) -> Response:
        """Have the shop place this month's order, if none was; safe to repeat."""
        Nothing.read(request.data)
        if not (
            services.SUBSCRIPTION_ID.fullmatch(id) and charging.REQUEST_ID.fullmatch(request_id)
        ):
            raise NotFound()
        answer = charging.charge(subscription_id=id, request_id=request_id)
        return Response(answer.as_json(), 201 if answer.was_called else 200)
