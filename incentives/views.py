"""The incentives' API: events from services, progress and achievements for members."""

from typing import cast
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from common.idempotency import VISIBLE_ASCII
from common.identity import EndUser, GatewayUser, HasScope, Service, ServiceKey
from common.pagination import CursorPage
from common.problems import NotFound
from common.renderers import Answer
from incentives import achievements, log
from incentives.models import Achievement
from incentives.progress import progress_of
from incentives.serializers import (
    Accepted,
    AchievementSerializer,
    ConsentSerializer,
    MemberProgressSerializer,
    NewEvent,
    Retracted,
    read_reports,
)


class EventViewSet(viewsets.ViewSet):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    required_scope = "incentives.write"

    @property
    def owner(self) -> str:
        # The prefix keeps a caller, whatever its name, off the ids of our own apps.
        return f"api:{cast('Service', self.request.user).owner}"

    @extend_schema(
        request=PolymorphicProxySerializer(
            component_name="NewEvents",
            serializers=[NewEvent, NewEvent(many=True)],
            resource_type_field_name=None,
            many=False,
        ),
        responses={202: Accepted},
    )
    def create(self, request: Request) -> Answer:
        """Take an event, or a list of 1 to 500, once for each id; what follows is behind it."""
        reports = read_reports(request.data, timezone.now())
        accepted = log.record(owner=self.owner, reports=reports)
        return Answer(
            {"accepted": accepted, "duplicates": len(reports) - accepted},
            status.HTTP_202_ACCEPTED,
        )

    @extend_schema(
        parameters=[OpenApiParameter("id", str, OpenApiParameter.PATH)],
        responses={202: Retracted},
    )
    def destroy(self, request: Request, id: str) -> Response:
        """Retract an event; again is fine. Its id stays used."""
        if not VISIBLE_ASCII.fullmatch(id):
            raise NotFound()
        log.retract(owner=self.owner, event_id=id, now=timezone.now())
        return Response({"id": id}, status.HTTP_202_ACCEPTED)


class ProgressViewSet(viewsets.ViewSet):
    authentication_classes = [GatewayUser]

    @extend_schema(responses=MemberProgressSerializer(many=True))
    def list(self, request: Request) -> Response:
        """How far the caller is, every accepted event included."""
        return Response(progress_of(cast("EndUser", request.user).id))


class NewestFirst(CursorPage):
    ordering = ("-granted_at", "-id")


class AchievementViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Achievement]):
    """What the caller achieved, newest first."""

    authentication_classes = [GatewayUser]
    pagination_class = NewestFirst
    serializer_class = AchievementSerializer
    queryset = Achievement.objects.none()

    def get_queryset(self) -> QuerySet[Achievement]:
        return Achievement.objects.of(self.user_id).with_why()

    @property
    def user_id(self) -> str:
        return cast("EndUser", self.request.user).id

    @extend_schema(request=ConsentSerializer, responses=AchievementSerializer)
    def consent(self, request: Request, id: UUID) -> Response:
        """Release a sensitive achievement to the partner, or keep it back."""
        is_given = ConsentSerializer.read(request.data)["consent"]
        now = timezone.now()
        achievements.consent(id=id, user_id=self.user_id, is_given=is_given, now=now)
        achievement = self.get_queryset().get(pk=id)
        return Response(AchievementSerializer(achievement).data)
