"""The usage API: records in, singly and in batches, and the bills that follow."""

import re
from datetime import date
from typing import Any, cast

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.idempotency import KeyReused, key_of
from common.identity import HasScope, Service, ServiceKey
from common.pagination import CursorPage
from common.problems import InvalidInput, TooLarge, fault
from usage import metering
from usage.models import Bill, Customer
from usage.parsers import UsageParser
from usage.reading import LARGEST_ID, Usage, key_in, read_usage
from usage.serializers import BillSerializer, NewBatch, NewUsage, Record, Verdicts

MOST_RECORDS = 1000
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 visible ASCII characters, for ever; a record may have it in its body.",
)


class ServiceView:
    """A service with the right scope; `owner` is its team."""

    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    request: Request

    @property
    def owner(self) -> str:
        return cast("Service", self.request.user).owner


class UsageView(ServiceView, APIView):
    parser_classes = [UsageParser]
    required_scope = "usage.write"

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
    def post(self, request: Request) -> Response:
        """Record usage, once for each key: a replay answers 200 with the record as first answered
        and the bill as it is now. A batch gets a verdict for each record."""
        if isinstance(request.data, dict) and "records" in request.data:
            return Response({"results": self.verdicts(request.data)})
        now = timezone.now()
        usage = read_usage(request.data, now=now, key=key_of(request))
        recorded = metering.record_usage(owner=self.owner, usage=usage, now=now)
        return Response(
            recorded.as_json(),
            status.HTTP_200_OK if recorded.is_replay else status.HTTP_201_CREATED,
            headers={"Idempotent-Replayed": "true"} if recorded.is_replay else None,
        )

    def verdicts(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        now = timezone.now()
        batch: list[Usage] = []
        results: list[dict[str, Any]] = []
        for record in records_of(body):
            try:
                batch.append(read_usage(record, now=now))
                results.append({"idempotencyKey": batch[-1].key})
            except InvalidInput as invalid:
                faults = invalid.extra["errors"]
                results.append(
                    {"idempotencyKey": key_in(record), "status": "invalid", "errors": faults}
                )
        verdicts = iter(metering.record_many(owner=self.owner, batch=batch, now=now))
        for result in results:
            if "status" not in result:
                result.update(as_json(next(verdicts)))
        return results


def as_json(verdict: metering.Verdict) -> dict[str, Any]:
    if verdict.id is not None:
        return {"status": verdict.status, "id": verdict.id}
    return {"status": verdict.status, "errors": [REFUSALS[verdict.status]]}


REFUSALS = {
    "conflict": fault("/idempotencyKey", KeyReused.code, KeyReused.title),
    "unknown_customer": fault(
        "/customerId", metering.UnknownCustomer.code, metering.UnknownCustomer.title
    ),
}


def records_of(body: dict[str, Any]) -> list[Any]:
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


class BillView(ServiceView, ListAPIView[Bill]):
    """Bills with their lines, newest first."""

    pagination_class = NewestFirst
    serializer_class = BillSerializer
    queryset = Bill.objects.none()
    required_scope = "usage.read"

    def get_queryset(self) -> QuerySet[Bill]:
        found = Bill.objects.with_status().prefetch_related("lines")
        if (customer_id := customer_in(self.request)) is not None:
            found = found.filter(customer=customer_id)
        if (period := month_in(self.request)) is not None:
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


def parameter(request: Request, name: str) -> str | None:
    """Raises InvalidInput for one that is there more than once."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise InvalidInput(fault(f"/{name}", "repeated", "Given more than once."))
    return values[0] if values else None


def customer_in(request: Request) -> int | None:
    """Raises InvalidInput, or UnknownCustomer."""
    given = parameter(request, "customerId")
    if given is None:
        return None
    if not re.fullmatch(r"0*[1-9][0-9]{0,999}", given, re.ASCII):
        raise InvalidInput(fault("/customerId", "invalid", "A positive integer."))
    customer_id = int(given)
    if customer_id > LARGEST_ID or not Customer.objects.filter(pk=customer_id).exists():
        raise metering.UnknownCustomer()
    return customer_id


def month_in(request: Request) -> date | None:
    given = parameter(request, "period")
    if given is None:
        return None
    try:
        return month_of(given)
    except ValueError:
        raise InvalidInput(fault("/period", "invalid", "A month: YYYY-MM.")) from None


def month_of(text: str) -> date:
    """Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", text, re.ASCII):
        raise ValueError(text)
    return date(int(text[:4]), int(text[5:]), 1)
