"""Views with everything common/ offers, and nothing else, for the tests of it."""

from typing import Any

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework import exceptions
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from common.idempotency import key_of, required_key_of
from common.identity import Gateway, GatewayUser, HasScope, ServiceKey
from common.models import LoadedFixture
from common.pagination import CursorPage
from common.serializers import Instant, Integer, Nothing, StrictSerializer, Text, UserId

ERRORS: dict[str, Exception] = {
    "bug": ValueError("SELECT secret FROM table; at /srv/app.py"),
    "constraint": IntegrityError('duplicate key value violates "secret_key_unique"'),
    "away": OperationalError("connection to server on socket /secret/.s.PGSQL failed"),
    "closed": InterfaceError("connection already closed"),
    "range": DataError('value "secret" is out of range'),
    "django404": Http404("secret"),
    "django403": DjangoPermissionDenied("secret"),
    "suspicious": SuspiciousOperation("secret"),
    "bad": BadRequest("secret"),
    "throttled": exceptions.Throttled(wait=7),
    "parse": exceptions.ParseError(),
}


class Inner(StrictSerializer):
    number = Integer(min_value=0, max_value=10**12)


class Body(StrictSerializer):
    text = Text(max_length=100, required=False)
    number = Integer(min_value=-(10**12), max_value=10**12, required=False)
    user = UserId(required=False)
    at = Instant(required=False)
    inner = Inner(required=False)
    several = Inner(many=True, required=False)


class Echo(APIView):
    authentication_classes = [GatewayUser]

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.id})

    def post(self, request: Request) -> Response:
        return Response(Body.read(request.data))

    put = patch = delete = post


class Take(APIView):
    """Takes no body."""

    authentication_classes = [GatewayUser]

    def post(self, request: Request) -> Response:
        return Response(Nothing.read(request.data))


class Open(APIView):
    authentication_classes = [Gateway]

    def get(self, request: Request) -> Response:
        return Response({"key": key_of(request)})


class Closed(APIView):
    """Nobody said who may come in."""

    def get(self, request: Request) -> Response:
        return Response()


class Keyed(APIView):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    required_scope = "wallet.write"

    def get(self, request: Request) -> Response:
        return Response({"owner": request.user.owner})

    def post(self, request: Request) -> Response:
        return Response({"key": required_key_of(request)})


class Failing(APIView):
    authentication_classes = [GatewayUser]

    def get(self, request: Request, name: str) -> Response:
        raise ERRORS[name]


def failing_outside_of_drf(request: HttpRequest, name: str) -> HttpResponse:
    raise ERRORS[name]


def html(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<h1>Forbidden: secret</h1>", status=403)


class FixtureSerializer(ModelSerializer[LoadedFixture]):
    class Meta:
        model = LoadedFixture
        fields = ["name"]


class ByName(CursorPage):
    ordering = "name"


class Listed(ListAPIView[LoadedFixture]):
    authentication_classes = [GatewayUser]
    queryset = LoadedFixture.objects.all()
    serializer_class = FixtureSerializer
    pagination_class = ByName


routes: list[Any] = [
    path("echo/", Echo.as_view()),
    path("take/", Take.as_view()),
    path("open/", Open.as_view()),
    path("closed/", Closed.as_view()),
    path("keyed/", Keyed.as_view()),
    path("failing/<name>/", Failing.as_view()),
    path("failing-outside/<name>/", failing_outside_of_drf),
    path("html/", html),
    path("listed/", Listed.as_view()),
]
urlpatterns = [
    path("api/v1/border/", include(routes)),
    path("page/failing/<name>/", failing_outside_of_drf),
    path("", include("common.urls")),
]
