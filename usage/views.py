"""The usage API: records in, singly and in batches, and the bills that follow."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.idempotency import KeyReused, key_of
from common.identity import LARGEST_BIGINT, HasScope, Service, ServiceKey
from common.pagination import PAGE, CursorPage
from common.problems import Fault, InvalidInput, NotFound, TooLarge, fault
from common.query import asked
from common.renderers import Answer
from usage import batches, corrections, metering, receipts
from usage.batches import Verdict
from usage.models import Bill, UsageRecord
from usage.parsers import UsageParser
from usage.query import customer_in, key_in_query, month_in
from usage.reading import Usage, key_in, one_key, read_usage
from usage.serializers import (
    BillSerializer,
    Correction,
    NewBatch,
    NewCorrection,
    NewUsage,
    OwnRecord,
    ReceiptSerializer,
    Record,
    Verdicts,
)

MOST_RECORDS = 1000
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 visible ASCII characters, for ever; a record may have it in its body.",
)

RECORD = OpenApiParameter(
    "record_id",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_BIGINT},
    OpenApiParameter.PATH,
)


class ByKey(CursorPage):
    ordering = "idempotency_key"


class UsageView(GenericAPIView[UsageRecord]):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    parser_classes = [UsageParser]
    pagination_class = ByKey
    serializer_class = OwnRecord
    queryset = UsageRecord.objects.none()

    @property
    def required_scope(self) -> str:
        return scope_of_own_records(self.request)

    @extend_schema(
        operation_id="usage_create",
        request=PolymorphicProxySerializer(
            "NewUsageOrBatch", serializers=[NewUsage, NewBatch], resource_type_field_name=None
        ),
        parameters=[KEY],
        responses={
            201: Record,
            200: PolymorphicProxySerializer(
                "RecordOrVerdicts", serializers=[Record, Verdicts], resource_type_field_name=None
            ),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Record usage, once for each key: a replay answers 200 with the record as first answered
        and the bill as it is now. A batch gets a verdict for each record."""
        if isinstance(request.data, dict) and "records" in request.data:
            return Answer({"results": self.verdicts(request)})
        now = timezone.now()
        usage = read_usage(request.data, now=now, key=key_of(request))
        recorded = metering.record_usage(owner=owner_of(request), usage=usage, now=now)
        return answer(recorded)

    @extend_schema(
        operation_id="usage_list",
        parameters=[
            OpenApiParameter("idempotencyKey", str, description="The record of this key, if any."),
        ],
        responses=OwnRecord(many=True),
    )
    def get(self, request: Request) -> Response:
        """The caller's own records, by key: how a call ended whose answer was lost."""
        given = asked(request, "idempotencyKey", *PAGE)
        found = UsageRecord.objects.filter(owner=owner_of(request))
        if (key := key_in_query(given, "idempotencyKey")) is not None:
            found = found.filter(idempotency_key=key)
        return self.get_paginated_response(own_records(self.paginate_queryset(found) or []))

    def verdicts(self, request: Request) -> list[Verdict]:
        now = timezone.now()
        batch, invalid = told_apart(records_of(request.data), now)
        verdicts = batches.record_many(owner=owner_of(request), batch=batch, now=now)
        for verdict in verdicts:
            if verdict.id is None:
                verdict.errors = REFUSALS[verdict.status]
        for place, verdict in invalid.items():
            verdicts.insert(place, verdict)
        return verdicts


def told_apart(records: list[Any], now: datetime) -> tuple[list[Usage], dict[int, Verdict]]:
    """Those that are fit, and verdicts on the others by place."""
    if isinstance(records[0], Usage):  # and so are all, read the swift way
        return records, {}
    fit: list[Usage] = []
    invalid: dict[int, Verdict] = {}
    for place, record in enumerate(records):
        try:
            fit.append(read_usage(record, now=now))
        except InvalidInput as refusal:
            errors = refusal.extra["errors"]
            invalid[place] = Verdict(key_in(record), "invalid", errors=errors)
    return fit, invalid


def owner_of(request: Request) -> str:
    """The caller's team."""
    return cast("Service", request.user).owner


def scope_of_own_records(request: Request) -> str:
    """Who writes may look its own records up, and so may its readers."""
    may_read = "usage.read" in cast("Service", request.user).scopes
    return "usage.read" if may_read and request.method in SAFE_METHODS else "usage.write"


def own_records(records: Sequence[UsageRecord]) -> list[dict[str, Any]]:
    customers, periods = {r.customer_id for r in records}, {r.period for r in records}
    bills = {
        (bill.customer_id, bill.period): bill
        for bill in Bill.objects.filter(customer__in=customers, period__in=periods)
    }
    return [
        metering.standing(record, bills[record.customer_id, record.period]).as_json()
        | {
            "idempotencyKey": record.idempotency_key,
            "corrects": record.corrects_id,
            "reason": record.reason,
        }
        for record in records
    ]


class CorrectionView(APIView):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    required_scope = "usage.write"

    @extend_schema(
        request=NewCorrection,
        parameters=[RECORD, KEY],
        responses={201: Correction, 200: Correction},
    )
    def post(self, request: Request, record_id: int) -> Answer:
        """Take one of the caller's own records back, once, with a new one of negative units."""
        if record_id > LARGEST_BIGINT:
            raise NotFound()
        said = NewCorrection.read(request.data)
        key = one_key(key_of(request), said.get("idempotencyKey"))
        reason = said["reason"]
        corrected = corrections.correct_record(
            id=record_id, owner=owner_of(request), key=key, reason=reason, now=timezone.now()
        )
        return answer(corrected, corrects=record_id, reason=reason)


class ReceiptView(APIView):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]

    @property
    def required_scope(self) -> str:
        return scope_of_own_records(self.request)

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, description="The first key, itself included."),
            OpenApiParameter("to", str, description="The last key, itself included."),
        ],
        responses=ReceiptSerializer,
    )
    def get(self, request: Request) -> Response:
        """Proof of what landed of the caller's own: count, sum and digest over a range of keys.

        Over the first 100,000 records of the range.
        """
        given = asked(request, "from", "to")
        first, last = key_in_query(given, "from"), key_in_query(given, "to")
        return Response(receipts.receipt(owner=owner_of(request), first=first, last=last).as_json())


def answer(recorded: metering.Recorded, **more: Any) -> Answer:
    return Answer(
        {**recorded.as_json(), **more},
        status.HTTP_200_OK if recorded.is_replay else status.HTTP_201_CREATED,
        headers={"Idempotent-Replayed": "true"} if recorded.is_replay else None,
    )


REFUSALS: dict[str, list[Fault]] = {
    status: [fault(pointer, problem.code, problem.title)]
    for status, pointer, problem in [
        ("conflict", "/idempotencyKey", KeyReused),
        ("unknown_customer", "/customerId", metering.UnknownCustomer),
    ]
}


def records_of(body: Any) -> list[Any]:
    """Raises InvalidInput or TooLarge."""
    if faults := [
        fault(f"/{name}", "unknown-field", "No such field.") for name in body if name != "records"
    ]:
        raise InvalidInput(*faults)
    records = body["records"]
    if not isinstance(records, list) or not records:
        raise InvalidInput(fault("/records", "invalid", "A list of at least one record."))
    if len(records) > MOST_RECORDS:
        raise TooLarge(f"A batch has at most {MOST_RECORDS} records.")
    return records


class NewestFirst(CursorPage):
    """One customer's bills by month; of all customers' the newest is the one made last."""

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return ("-period",) if "customerId" in request.query_params else ("-id",)


class BillView(ListAPIView[Bill]):
    """Bills with their lines, newest first."""

    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    pagination_class = NewestFirst
    serializer_class = BillSerializer
    queryset = Bill.objects.none()
    required_scope = "usage.read"

    def get_queryset(self) -> QuerySet[Bill]:
        given = asked(self.request, "customerId", "period", *PAGE)
        found = Bill.objects.with_status().defer("total").prefetch_related("lines")
        if (customer_id := customer_in(given)) is not None:
            found = found.filter(customer=customer_id)
        if (period := month_in(given)) is not None:
            found = found.filter(period=period)
        return found

    @extend_schema(
        parameters=[
            OpenApiParameter("customerId", int, description="All customers without it."),
            OpenApiParameter("period", str, description="A month, 2026-11."),
        ]
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().get(request, *args, **kwargs)
