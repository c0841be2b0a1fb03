"""How usage and bills look as JSON. What comes in, `reading.py` reads: these describe it."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.identity import LARGEST_BIGINT
from common.serializers import Instant, Integer, StrictSerializer, Text
from usage.metering import as_money, as_units
from usage.models import LONGEST_SERVICE, Bill, BillLine, month_text

KEY = r"^[\x21-\x7e]{1,200}$"
DECIMAL = r"^(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
MONTH = {"type": "string", "pattern": r"^[0-9]{4}-(0[1-9]|1[0-2])$", "examples": ["2026-11"]}
EXACT = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["2.90"]}
AT_MOST = "At most 12 digits before the point and 6 decimal places; never rounded."


def one_of(*words: str) -> dict[str, Any]:
    # An enum of a name as common as "status" would be given the name of its collision.
    return {"type": "string", "oneOf": [{"const": word} for word in words]}


def a_decimal(**bounds: Any) -> dict[str, Any]:
    return {
        "oneOf": [{"type": "number", **bounds}, {"type": "string", "pattern": DECIMAL}],
        "description": AT_MOST,
    }


@extend_schema_field(a_decimal(exclusiveMinimum=0))
class Units(serializers.Field[Any, Any, Any, Any]):
    """More than 0."""


@extend_schema_field(a_decimal(minimum=0))
class Price(serializers.Field[Any, Any, Any, Any]):
    """0 or more."""


@extend_schema_field(EXACT)
class Exact(serializers.Field[Any, Any, Any, Any]):
    def to_representation(self, value: Any) -> str:
        return as_units(value)


@extend_schema_field(EXACT)
class Money(serializers.Field[Any, Any, Any, Any]):
    """With at least two decimals."""

    def to_representation(self, value: Any) -> str:
        return as_money(value)


@extend_schema_field(MONTH)
class Month(serializers.Field[Any, Any, Any, Any]):
    def to_representation(self, value: Any) -> str:
        return month_text(value)


class NewUsage(StrictSerializer):
    customerId = Integer(min_value=1, max_value=LARGEST_BIGINT)
    service = Text(max_length=LONGEST_SERVICE)
    unitsConsumed = Units()
    pricePerUnit = Price()
    recordedAt = Instant(required=False)
    idempotencyKey = serializers.RegexField(
        KEY, required=False, help_text="Where there is no header Idempotency-Key; in a batch always"
    )


@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"$ref": "#/components/schemas/NewUsageRequest"}, {}]},
        "description": "1 to 1000, each with its idempotencyKey; a wrong one gets its verdict.",
    }
)
class Several(serializers.Field[Any, Any, Any, Any]):
    pass


class NewBatch(StrictSerializer):
    records = Several()


class BillOfRecord(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    period = Month()
    total = Money()
    currency = serializers.CharField()


class Record(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    customerId = serializers.IntegerField()
    service = serializers.CharField()
    unitsConsumed = Exact()
    pricePerUnit = Money()
    amount = Money()
    recordedAt = serializers.DateTimeField()
    lateFor = Month(allow_null=True, help_text="The closed month of a record on a later bill.")
    bill = BillOfRecord(help_text="As it is now.")


class Correction(Record):
    corrects = serializers.IntegerField(help_text="The record it takes back.")
    reason = serializers.CharField()


class OwnRecord(Record):
    idempotencyKey = serializers.CharField()
    corrects = serializers.IntegerField(allow_null=True, help_text="The record it takes back.")
    reason = serializers.CharField()


class FaultOfRecord(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON Pointer into the record.")
    code = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_field(one_of("created", "replayed", "conflict", "invalid", "unknown_customer"))
class VerdictStatus(serializers.Field[Any, Any, Any, Any]):
    pass


class VerdictOfRecord(serializers.Serializer[Any]):
    idempotencyKey = serializers.CharField(allow_null=True)
    status = VerdictStatus()
    id = serializers.IntegerField(required=False)
    errors = FaultOfRecord(many=True, required=False)  # type: ignore[assignment]


class Verdicts(serializers.Serializer[Any]):
    results = VerdictOfRecord(many=True)


class LineSerializer(serializers.ModelSerializer[BillLine]):
    pricePerUnit = Money(source="price_per_unit")
    unitsConsumed = Exact(source="units_consumed")
    amount = Money()

    class Meta:
        model = BillLine
        fields = ["service", "pricePerUnit", "unitsConsumed", "amount", "records"]


class BillSerializer(serializers.ModelSerializer[Bill]):
    customerId = serializers.IntegerField(source="customer_id")
    period = Month()
    status = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    lines = LineSerializer(many=True)

    class Meta:
        model = Bill
        fields = ["id", "customerId", "period", "status", "total", "currency", "lines"]

    @extend_schema_field(EXACT)
    def get_total(self, bill: Bill) -> str:
        # Of the lines as they were read, so that they add up to it while usage arrives.
        return as_money(sum((line.amount for line in bill.lines.all()), Decimal(0)))

    @extend_schema_field(one_of("open", "closed"))
    def get_status(self, bill: Any) -> str:
        return "closed" if bill.is_closed else "open"


class NewCorrection(StrictSerializer):
    reason = Text(max_length=500, required=False, allow_blank=True, default="")
    idempotencyKey = serializers.RegexField(
        KEY, required=False, help_text="Where there is no header Idempotency-Key"
    )


class ReceiptSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    sum = Money(help_text="Of the amounts.")
    digest = serializers.CharField(
        help_text='Hexadecimal SHA-256 of a line "key amount" for each record, in the byte order '
        "of the keys, every line with a line feed."
    )
    firstKey = serializers.CharField(allow_null=True)
    lastKey = serializers.CharField(allow_null=True)
    isComplete = serializers.BooleanField(
        help_text="False when there are more in the range: ask again after the last key."
    )
