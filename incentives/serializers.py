"""The incentives' JSON."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from common.idempotency import VISIBLE_ASCII
from common.problems import Fault, InvalidInput, TooLarge, fault, faults_of
from common.serializers import Instant, StrictSerializer, Text, UserId
from incentives.catalogue import faults_of_event
from incentives.days import zones
from incentives.log import Report, as_text, whole
from incentives.models import Achievement
from incentives.models.events import EARLIEST
from incentives.wording import why

MOST_EVENTS = 500
MOST_FAULTS = 20
LONGEST_DATA = 10_000
SHOWN = [each for each in Achievement.Status.values if each != Achievement.Status.CAPPED]
AHEAD = timedelta(minutes=5)


class EventId(Text):
    default_error_messages = {"event_id": "1 to 200 visible ASCII characters."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not VISIBLE_ASCII.fullmatch(text):
            self.fail("event_id")
        return text


class Zone(Text):
    default_error_messages = {"zone": "Not an IANA time zone, such as Europe/Berlin."}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name not in zones():
            self.fail("zone")
        return name


class Object(serializers.JSONField):
    """A JSON object, kept as it came."""

    default_error_messages = {"object": "Must be an object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("object")
        return data


class NewEvent(StrictSerializer):
    id = EventId(max_length=200, help_text="1 to 200 visible ASCII characters; the owner's own.")
    user_id = UserId()
    type = Text(max_length=50)
    occurred_at = Instant()
    timezone = Zone(required=False, help_text="IANA; default: the member's, then the employer's.")
    data = Object(  # type: ignore[assignment]
        required=False, help_text="As the event type's schema says."
    )


def read_reports(body: Any, now: datetime) -> list[Report]:
    """Raises InvalidInput naming every place at fault, TooLarge for more than 500."""
    if not isinstance(body, list):
        return read_all([("", body)], now)
    if not body:
        raise InvalidInput(fault("", "empty", "A list has 1 to 500 events."))
    if len(body) > MOST_EVENTS:
        raise TooLarge(f"A list has at most {MOST_EVENTS} events.")
    return read_all([(f"/{index}", each) for index, each in enumerate(body)], now)


def read_all(events: list[tuple[str, Any]], now: datetime) -> list[Report]:
    reports, faults = [], list[Fault]()
    for place, event in events:
        found = read_report(event, now)
        if isinstance(found, Report):
            reports.append(found)
        else:
            faults += [{**each, "pointer": place + each["pointer"]} for each in found]
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        raise InvalidInput(*faults[:MOST_FAULTS])
    return reports


FIELDS = NewEvent().fields
REQUIRED = {name for name, each in FIELDS.items() if each.required}


def read_usual(event: Any) -> dict[str, Any] | None:
    """A well-formed event, in a third of the serializer's time; None leaves it to that one."""
    if type(event) is not dict or not REQUIRED <= event.keys() <= FIELDS.keys():
        return None
    try:
        return {name: FIELDS[name].to_internal_value(value) for name, value in event.items()}
    except ValidationError:
        return None


def read_report(event: Any, now: datetime) -> Report | list[Fault]:
    try:
        said = read_usual(event) or NewEvent.read(event)
    except ValidationError as error:
        return list(faults_of(error.detail))
    data = whole(said.get("data", {}))
    text = as_text(data)
    faults = [*faults_of_time(said["occurred_at"], now), *faults_of_event(said["type"], data, now)]
    if len(text) > LONGEST_DATA:
        faults.append(fault("/data", "too-long", f"At most {LONGEST_DATA:,} characters."))
    if faults:
        return faults
    return Report(
        said["id"],
        said["user_id"],
        said["type"],
        said["occurred_at"],
        said.get("timezone", ""),
        text,
    )


def faults_of_time(occurred_at: datetime, now: datetime) -> Iterator[Fault]:
    if occurred_at > now + AHEAD:
        yield fault("/occurred_at", "in-the-future", "More than 5 minutes ahead.")
    if occurred_at < EARLIEST:
        yield fault("/occurred_at", "out-of-range", "Before 1900.")


class Accepted(serializers.Serializer[Any]):
    accepted = serializers.IntegerField(help_text="Newly stored.")
    duplicates = serializers.IntegerField(help_text="Seen before.")


class Retracted(serializers.Serializer[Any]):
    id = serializers.CharField()


class MemberProgressSerializer(serializers.Serializer[Any]):
    programme = serializers.CharField()
    incentive = serializers.CharField()
    structure = serializers.CharField()
    current = serializers.IntegerField()
    target = serializers.IntegerField()
    unit = serializers.CharField()
    achieved = serializers.BooleanField()
    last_counted_on = serializers.DateField(allow_null=True)


class StepSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    note = serializers.CharField()


class WhySerializer(serializers.Serializer[Any]):
    rule = serializers.CharField(help_text="The rule in words.")
    rule_version = serializers.IntegerField()
    days = serializers.ListField(
        child=serializers.DateField(), help_text="The local days that counted."
    )
    history = StepSerializer(many=True)


class AchievementSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    programme = serializers.CharField(source="incentive.programme.slug")
    incentive = serializers.CharField(source="incentive.slug")
    reward = serializers.CharField()
    achieved_at = serializers.DateTimeField()
    granted_at = serializers.DateTimeField()
    status = serializers.CharField(help_text=", ".join(SHOWN))
    why = serializers.SerializerMethodField()

    @extend_schema_field(WhySerializer)
    def get_why(self, achievement: Achievement) -> dict[str, Any]:
        return why(achievement)


class Flag(serializers.BooleanField):
    """A JSON boolean: not 1, not `"true"`."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return data


class ConsentSerializer(StrictSerializer):
    consent = Flag()
