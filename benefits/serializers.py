"""The benefits' JSON; what is answered is built by hand and described here."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from benefits.models import Benefit
from common.identity import LARGEST_BIGINT
from common.serializers import Instant, Integer, StrictSerializer


class NewUse(StrictSerializer):
    personId = Integer(min_value=-LARGEST_BIGINT - 1, max_value=LARGEST_BIGINT)
    usageTimestamp = Instant(
        required=False, help_text="Default: now. At most 5 minutes in the future."
    )


class UseSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    personId = serializers.IntegerField()
    benefitId = serializers.IntegerField()
    usageTimestamp = serializers.DateTimeField()
    availableAt = serializers.DateTimeField(
        help_text="The first instant, from the use on, at which a next recording succeeds."
    )


class BenefitSerializer(serializers.ModelSerializer[Benefit]):
    venueId = serializers.IntegerField()

    class Meta:
        model = Benefit
        fields = ["id", "venueId", "title", "recurrence"]


class OfferSerializer(BenefitSerializer):
    available = serializers.BooleanField(help_text="By the uses up to the instant asked for.")
    availableAt = serializers.DateTimeField(
        help_text="The first instant, from the one asked for on, at which a recording succeeds."
    )

    class Meta(BenefitSerializer.Meta):
        fields = [*BenefitSerializer.Meta.fields, "available", "availableAt"]


class PopularSerializer(serializers.Serializer[Any]):
    benefitId = serializers.IntegerField()
    usageCount = serializers.IntegerField()


@extend_schema_serializer(many=True)
class TopSerializer(serializers.Serializer[Any]):
    venueId = serializers.IntegerField()
    topBenefits180Days = PopularSerializer(many=True)


class PeriodSerializer(serializers.Serializer[Any]):
    startTime = serializers.DateTimeField()
    endTime = serializers.DateTimeField()


class InactivitySerializer(serializers.Serializer[Any]):
    benefitId = serializers.IntegerField()
    inactivityPeriods = PeriodSerializer(many=True)
