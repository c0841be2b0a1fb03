"""Query strings, read strictly: their names, and values that more than one app reads."""

from collections.abc import Container, Sequence
from datetime import datetime

from rest_framework.request import Request

from common.problems import Fault, InvalidInput, fault
from common.serializers import Instant

INSTANT = Instant()


def asked(request: Request, *known: str) -> dict[str, str]:
    """The parameters there are. Raises InvalidInput for every one not known, or there twice:
    a filter that was misspelt would widen the answer in silence."""
    given = dict(request.query_params.lists())
    faults = (fault_of(name, values, known) for name, values in given.items())
    if found := [each for each in faults if each]:
        raise InvalidInput(*found)
    return {name: values[0] for name, values in given.items()}


def fault_of(name: str, values: Sequence[str], known: Container[str]) -> Fault | None:
    if name not in known:
        return fault(f"/{name}", "unknown-parameter", "No such parameter.")
    if len(values) > 1:
        return fault(f"/{name}", "repeated", "Given more than once.")
    return None


def instant(text: str) -> datetime:
    """Raises ValidationError.

    A plus that nobody encoded arrives as a blank. After a colon no other blank can stand; before
    the first one it may stand for the T.
    """
    hour, colon, rest = text.partition(":")
    return INSTANT.to_internal_value(hour + colon + rest.replace(" ", "+"))
