"""What partners send and get."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.serializers import StrictSerializer, Text

LONGEST_NOTE = 500
TOLD = ["granted", "reversed"]
ANSWERS = ["fulfilled", "rejected"]


class FeedLineSerializer(serializers.Serializer[object]):
    """The shape of contract.line, for the schema."""

    id = serializers.UUIDField(help_text="The achievement's, the same in every version.")
    sequence = serializers.IntegerField(min_value=1, help_text="1, 2, 3 … without a gap.")
    member = serializers.UUIDField(help_text="A pseudonym that no other partner knows.")
    reward_code = serializers.CharField()
    programme = serializers.CharField(help_text="Its slug, or a reference agreed on instead.")
    effective_date = serializers.DateField()
    status = serializers.ChoiceField(TOLD)
    version = serializers.IntegerField(min_value=1, help_text="The highest one is in force.")


@extend_schema_serializer(many=False)  # although it is a viewset's list
class FeedPageSerializer(serializers.Serializer[object]):
    results = FeedLineSerializer(many=True)
    next = serializers.IntegerField(
        allow_null=True, help_text="The last sequence given: the next `after`. Null: none given."
    )


class NewFulfilment(StrictSerializer):
    status = serializers.ChoiceField(ANSWERS)
    note = Text(max_length=LONGEST_NOTE, required=False, default="", allow_blank=True)


class FulfilmentSerializer(serializers.Serializer[object]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(ANSWERS)
