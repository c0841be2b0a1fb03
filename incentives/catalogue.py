"""The event types that come with the product, and the check of what is reported against them."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps as all_apps
from django.core.exceptions import ValidationError
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from common.problems import Fault, escape, fault
from incentives.models import EventType

QUIZ_COMPLETED = "quiz_completed"

POSITIVE = {"type": "number", "exclusiveMinimum": 0}
BUILT_IN = [
    ("health_data_logged", "health data logged", "health", {}),
    ("birth_reported", "a birth reported", "intimate", {}),
    ("pregnancy_reported", "a pregnancy reported", "intimate", {}),
    ("checkup_completed", "a check-up completed", "health", {}),
    (
        "activity_tracked",
        "activity tracked",
        "health",
        {"properties": {"steps": POSITIVE, "minutes": POSITIVE, "km": POSITIVE}},
    ),
    (
        QUIZ_COMPLETED,
        "a quiz completed",
        "ordinary",
        {
            "properties": {
                "quiz": {"type": "string"},
                "correct": {"type": "integer", "minimum": 0},
                "total": {"type": "integer", "minimum": 0},
            }
        },
    ),
]

# A process remembers the catalogue this long, so that reporting costs no query for it.
MEMORY = timedelta(seconds=1)


def ensure_built_in(**kwargs: Any) -> None:
    """After every migration; what staff changed since stays."""
    try:
        model = kwargs.get("apps", all_apps).get_model("incentives", "EventType")
    except LookupError:  # migrated back to before there were any
        return
    model.objects.using(kwargs["using"]).bulk_create(
        [
            model(slug=slug, label=label, sensitivity=sensitivity, data_schema=schema)
            for slug, label, sensitivity, schema in BUILT_IN
        ],
        ignore_conflicts=True,
    )


class Catalogue:
    """The types by name, each with the validator of its data."""

    def __init__(self) -> None:
        self.read_at = datetime.min.replace(tzinfo=timezone.get_default_timezone())
        self.types: dict[str, Draft202012Validator] = {}

    def find(self, slug: str, now: datetime) -> Draft202012Validator | None:
        if now - self.read_at > MEMORY or slug not in self.types:
            self.read_at = now
            found = EventType.objects.values_list("slug", Cast("data_schema", TextField()))
            self.types = {
                each: Draft202012Validator(json.loads(schema, parse_float=Decimal))
                for each, schema in found
            }
        return self.types.get(slug)

    def forget(self, **kwargs: Any) -> None:
        self.types = {}


catalogue = Catalogue()


def faults_of_event(slug: str, data: Mapping[str, Any], now: datetime) -> Iterator[Fault]:
    """What is wrong with the type and the data, with places below the event."""
    validator = catalogue.find(slug, now)
    if validator is None:
        yield fault("/type", "unknown-type", "No such event type.")
        return
    for error in validator.iter_errors(data):
        place = "".join(f"/{escape(str(step))}" for step in error.absolute_path)
        yield fault(f"/data{place}", "schema", error.message[:200])


def validate_schema(schema: Any) -> None:
    """For forms. References could lead anywhere, the network included."""
    if not isinstance(schema, dict):
        raise ValidationError("A JSON Schema is an object.", code="schema")
    if '"$ref"' in json.dumps(schema) or '"$dynamicRef"' in json.dumps(schema):
        raise ValidationError("References are not supported.", code="schema")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValidationError(f"Not a JSON Schema: {error.message}", code="schema") from None
