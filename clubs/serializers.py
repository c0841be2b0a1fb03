"""The clubs' JSON."""

from datetime import UTC, datetime
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from clubs.models import LONGEST_DETAILS, ChangeQuerySet, Status, StatusChange, Subscription
from common.serializers import Instant, Integer, StrictSerializer, Text

STORE_ID = RegexValidator(r"^[0-9A-Za-z-]{1,36}\Z", "1 to 36 of 0-9, A-Z, a-z and -.")
LONGEST_INTERVAL = 3650  # days
# Far from where a date and an interval would leave the calendar.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class NewSubscription(StrictSerializer):
    customer_id = Text(validators=[STORE_ID], help_text="The shop's id, kept as it is.")


class NewStatus(StrictSerializer):
    status_id = Integer(
        min_value=min(Status.NAMES),
        max_value=max(Status.NAMES),
        help_text="1 active, 2 cancelled, 3 paused.",
    )
    effect_date = Instant(required=False, help_text="1900 to 2999; now, when left out.")
    interval = Integer(
        min_value=1, max_value=LONGEST_INTERVAL, required=False, help_text="Days; with 3 only."
    )
    details = Text(max_length=LONGEST_DETAILS, required=False, allow_blank=True)

    def validate_effect_date(self, effect: datetime) -> datetime:
        if not EARLIEST <= effect < LATEST:
            raise serializers.ValidationError("From 1900 to 2999.", code="out-of-range")
        return effect

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "interval" in attrs and attrs["status_id"] != Status.PAUSED:
            fault = serializers.ErrorDetail(
                "Only a pause (status_id 3) has one.", "only-with-pause"
            )
            raise serializers.ValidationError({"interval": [fault]})
        return attrs


class SubscriptionSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    club_id = serializers.IntegerField()
    customer_id = serializers.CharField()
    status_id = serializers.IntegerField(allow_null=True, help_text="Now.")
    create_date = serializers.DateTimeField()


class ChangeSerializer(serializers.Serializer[Any]):
    status_id = serializers.IntegerField()
    effect_date = serializers.DateTimeField()
    create_date = serializers.DateTimeField(allow_null=True)
    details = serializers.CharField(allow_null=True)


class SubscriptionDetailSerializer(SubscriptionSerializer):
    history = ChangeSerializer(many=True, help_text="By effect_date, what is scheduled included.")


class ChargeSerializer(serializers.Serializer[Any]):
    subscription_id = serializers.CharField()
    request_id = serializers.CharField(help_text="The one that placed the order.")
    period = serializers.RegexField(r"^\d{4}-\d{2}$", help_text="A month: 2026-11")
    state = serializers.ChoiceField(["succeeded"])
    charged = serializers.BooleanField(help_text="Whether this very call placed the order.")
    order = serializers.JSONField(help_text="What the shop answered; null when that was no JSON.")


def as_json(subscription: Subscription, status_id: int | None) -> dict[str, Any]:
    return {
        "id": subscription.pk,
        "club_id": subscription.club_id,
        "customer_id": subscription.customer_store_id,
        "status_id": status_id,
        "create_date": subscription.create_date,
    }


def history_of(changes: ChangeQuerySet) -> list[dict[str, Any]]:
    return [change_as_json(change) for change in changes.in_order()]


def change_as_json(change: StatusChange) -> dict[str, Any]:
    return {
        "status_id": change.status_id,
        "effect_date": change.effect_date,
        "create_date": change.create_date,
        "details": change.details,
    }
