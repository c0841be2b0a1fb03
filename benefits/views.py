"""The benefits' API: what is popular, what may be used now, what lies idle, and recording a use."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from benefits import availability, idleness, popularity, query, services
from benefits.serializers import (
    BenefitSerializer,
    InactivitySerializer,
    NewUse,
    OfferSerializer,
    TopSerializer,
    UseSerializer,
)
from common.idempotency import answer_once, key_of
from common.identity import Gateway
from common.problems import NotFound
from common.renderers import Answer

ID = {"type": "integer", "format": "int64"}
PERSON = OpenApiParameter("personId", ID, required=True)
VENUE = OpenApiParameter("venueId", ID, required=True)
BENEFIT = OpenApiParameter("id", ID, OpenApiParameter.PATH)
TIMESTAMP = OpenApiParameter(
    "timestamp",
    {"type": "string", "format": "date-time"},
    description="Default: now. Without a zone it is UTC. Later uses are ignored.",
)
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 visible ASCII characters, for ever; the same for every retry.",
)
# The gateway is the one owner of all keys here: it lets nobody else in.
OWNER = "benefits"


class BenefitViewSet(viewsets.ViewSet):
    authentication_classes = [Gateway]

    @extend_schema(parameters=[PERSON, VENUE, TIMESTAMP], responses=OfferSerializer(many=True))
    def list(self, request: Request) -> Answer:
        """Every benefit of the venue: whether this person may use it, and from when on."""
        person, venue, at = query.read(request, "personId", "venueId", "timestamp")
        offers = availability.offers(person=person, venue=venue, at=at or timezone.now())
        return Answer(
            [
                {
                    "id": offer.id,
                    "venueId": venue,
                    "title": offer.title,
                    "recurrence": offer.recurrence,
                    "available": offer.is_available,
                    "availableAt": offer.available_at,
                }
                for offer in offers
            ]
        )

    @extend_schema(parameters=[PERSON, VENUE, TIMESTAMP], responses=BenefitSerializer(many=True))
    @action(detail=False)
    def available(self, request: Request) -> Answer:
        """The venue's benefits that this person may use at this instant."""
        person, venue, at = query.read(request, "personId", "venueId", "timestamp")
        found = availability.available(person=person, venue=venue, at=at or timezone.now())
        return Answer(
            [
                {"id": id, "venueId": venue, "title": title, "recurrence": recurrence}
                for id, title, recurrence in found
            ]
        )

    @extend_schema(responses=TopSerializer(many=True))
    @action(detail=False)
    def top(self, request: Request) -> Answer:
        """Each venue's up to three most used benefits of the last 180 days."""
        query.read(request)
        return Answer(
            [
                {
                    "venueId": venue,
                    "topBenefits180Days": [
                        {"benefitId": each.benefit_id, "usageCount": each.uses} for each in best
                    ],
                }
                for venue, best in popularity.top(now=timezone.now())
            ]
        )

    @extend_schema(parameters=[VENUE], responses=InactivitySerializer(many=True))
    @action(detail=False)
    def inactivity(self, request: Request) -> Answer:
        """When in the last 180 days each benefit was used by nobody for long."""
        (venue,) = query.read(request, "venueId")
        return Answer(
            [
                {
                    "benefitId": benefit,
                    "inactivityPeriods": [
                        {"startTime": period.since, "endTime": period.until} for period in periods
                    ],
                }
                for benefit, periods in idleness.inactivity(venue=venue, now=timezone.now())
            ]
        )

    @extend_schema(
        request=NewUse,
        parameters=[BENEFIT, KEY],
        responses={201: UseSerializer, 200: UseSerializer},
    )
    @action(detail=True, methods=["post"])
    def usages(self, request: Request, pk: str) -> HttpResponse:
        """Record a use, now or at the instant given; with a key once, however often it is sent."""
        key, now = key_of(request), timezone.now()
        # An instant that belongs into the body must not be passed over.
        query.read(request)
        body = NewUse.read(request.data)
        benefit = known(pk)
        return answer_once(
            owner=OWNER,
            key=key,
            # Without a timestamp a retry means the first one's now.
            meaning={"benefit": benefit, "usageTimestamp": None, **body},
            act=lambda: services.record_use(
                benefit=benefit,
                person=body["personId"],
                at=body.get("usageTimestamp", now),
                now=now,
            ),
        )


def known(text: str) -> int:
    """What is no id at all names nothing that exists."""
    try:
        return query.identifier(text)
    except ValidationError:
        raise NotFound() from None
