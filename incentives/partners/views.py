"""The partners' API: their feed, and what became of each reward."""

import re
from typing import cast
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from common.identity import LARGEST_BIGINT, HasScope, Service, ServiceKey
from common.problems import InvalidInput, NotFound, fault
from incentives import achievements
from incentives.models import FeedEntry
from incentives.partners import feed
from incentives.partners.contract import line
from incentives.partners.serializers import (
    FeedPageSerializer,
    FulfilmentSerializer,
    NewFulfilment,
)

LARGEST_PAGE = 100
NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


class PartnerAchievementViewSet(viewsets.ViewSet):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    required_scope = "incentives.partner"

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "after",
                {"type": "integer", "minimum": 0, "maximum": LARGEST_BIGINT, "default": 0},
                description="The `next` of the page before.",
            ),
            OpenApiParameter(
                "page_size", {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}
            ),
        ],
        responses=FeedPageSerializer,
    )
    def list(self, request: Request) -> Response:
        """The partner's feed in its order: the same entries at every reading, none skipped."""
        after = number_in(request, "after", smallest=0, largest=LARGEST_BIGINT, default=0)
        size = number_in(request, "page_size", smallest=1, largest=LARGEST_PAGE, default=100)
        entries = feed.entries_after(partner_of(request), after)[:size]
        results = [line(entry) for entry in entries]
        return Response({"results": results, "next": results[-1]["sequence"] if results else None})

    @extend_schema(request=NewFulfilment, responses=FulfilmentSerializer)
    def fulfilment(self, request: Request, id: UUID) -> Response:
        """What became of the reward: the first answer stands, the same again is fine."""
        told = NewFulfilment.read(request.data)
        partner = partner_of(request)
        expect_told(partner, id)
        achievements.fulfil(
            id=id,
            is_fulfilled=told["status"] == "fulfilled",
            by=f"partner:{partner}",
            note=told["note"],
            now=timezone.now(),
        )
        return Response({"id": str(id), "status": told["status"]})


def partner_of(request: Request) -> str:
    """The slug: a key's owner is its partner, if there is one of that name."""
    return cast("Service", request.user).owner


def expect_told(partner: str, id: UUID) -> None:
    """Raises NotFound for what this partner never heard of."""
    if not FeedEntry.objects.filter(achievement=id, partner__slug=partner).exists():
        raise NotFound()


def number_in(request: Request, name: str, *, smallest: int, largest: int, default: int) -> int:
    given = request.query_params.getlist(name)
    if not given:
        return default
    is_number = len(given) == 1 and NUMBER.fullmatch(given[0])
    if not is_number or not smallest <= int(given[0]) <= largest:
        raise InvalidInput(fault(f"/{name}", "invalid", f"One number, {smallest} to {largest}."))
    return int(given[0])
