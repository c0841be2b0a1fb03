"""Serializers that take JSON at its word: no unknown fields, no text for a number."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from rest_framework import serializers
from rest_framework.fields import SkipField, empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from common.identity import canonical_user_id

Check = Callable[[Any], Any]


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses what it does not know; DRF alone would drop it silently."""

    def to_internal_value(self, data: Any) -> Any:
        """As DRF's, for JSON alone: there a field may also come from a form, or be set deep."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        if not self.readers.keys() >= data.keys():
            unknown = {name: ["No such field."] for name in data if name not in self.readers}
            raise serializers.ValidationError(unknown, code="unknown-field")
        found, errors = {}, {}
        for name, (field, check) in self.readers.items():
            try:
                value = field.run_validation(data.get(name, empty))
                found[name] = check(value) if check else value
            except serializers.ValidationError as error:
                errors[name] = error.detail
            except SkipField:
                pass
        if errors:
            raise serializers.ValidationError(errors)
        return found

    @cached_property
    def readers(self) -> dict[str, tuple[serializers.Field[Any, Any, Any, Any], Check | None]]:
        """Each field with its `validate_<name>`, if there is one."""
        fields = {name: field for name, field in self.fields.items() if not field.read_only}
        return {n: (field, getattr(self, f"validate_{n}", None)) for n, field in fields.items()}

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """The validated body; raises ValidationError.

        One instance reads every body: a serializer for each request would copy all its fields
        first, which costs more than the validation itself.
        """
        return dict(shared(cls).run_validation(data))


@cache
def shared(serializer: type[StrictSerializer]) -> StrictSerializer:
    return serializer()


class Nothing(StrictSerializer):
    """The body of a call that takes none: empty or `{}`."""


class Integer(serializers.IntegerField):
    """A JSON integer: not `true`, not `"5"`, not `5.0`."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


AT_THE_BORDER = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)


class Text(serializers.CharField):
    """A JSON string, kept as it came."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("trim_whitespace", False)
        super().__init__(**options)
        # The border has refused NUL and lone surrogates, wherever in a request they are.
        self.validators = [each for each in self.validators if not isinstance(each, AT_THE_BORDER)]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data.strip() if self.trim_whitespace else data


class UserId(Text):
    """A UUID, stored canonical, or a BigInt as text."""

    default_error_messages = {"user_id": "Must be a UUID or a positive BigInt."}

    def to_internal_value(self, data: Any) -> str:
        user_id = canonical_user_id(super().to_internal_value(data))
        if user_id is None:
            self.fail("user_id")
        return user_id


INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)


class Instant(serializers.DateTimeField):
    """ISO 8601; a naive time is UTC; microseconds stay."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not INSTANT.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
        try:
            instant = datetime.fromisoformat(value.upper())
            return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
