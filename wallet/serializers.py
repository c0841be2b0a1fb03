"""The wallet's JSON."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.serializers import Integer, StrictSerializer, Text, UserId
from wallet.models import LARGEST_AMOUNT, Entry

KIND = RegexValidator(r"^[a-z0-9_-]{1,50}\Z", "1 to 50 of a-z, 0-9, _ and -.")


class NewPosting(StrictSerializer):
    user_id = UserId()
    amount = Integer(min_value=-LARGEST_AMOUNT, max_value=LARGEST_AMOUNT, help_text="Coins; not 0.")
    kind = Text(validators=[KIND])
    reference = Text(max_length=200, allow_blank=True, default="")
    reason = Text(max_length=500, allow_blank=True, default="")

    def validate_amount(self, amount: int) -> int:
        if amount == 0:
            raise serializers.ValidationError("An amount of 0 moves nothing.", code="zero")
        return amount


@extend_schema_serializer(many=False)  # although it is a viewset's list
class BalanceSerializer(serializers.Serializer[Any]):
    user_id = serializers.CharField()
    balance = serializers.IntegerField()


class EntrySerializer(serializers.ModelSerializer[Entry]):
    """What the owner of the wallet sees."""

    class Meta:
        model = Entry
        fields = ["id", "amount", "balance_after", "kind", "reference", "reason", "created_at"]
        read_only_fields = fields


class PostingSerializer(serializers.Serializer[Any]):
    """What the service that posted sees."""

    id = serializers.IntegerField()
    user_id = serializers.CharField(source="account_id")
    amount = serializers.IntegerField()
    balance_after = serializers.IntegerField()
    kind = serializers.CharField()
    reference = serializers.CharField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
