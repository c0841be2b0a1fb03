"""Values of a query string that more than one app reads."""

from datetime import datetime

from common.serializers import Instant

INSTANT = Instant()


def instant(text: str) -> datetime:
    """Raises ValidationError.

    A plus that nobody encoded arrives as a blank. After a colon no other blank can stand; before
    the first one it may stand for the T.
    """
    hour, colon, rest = text.partition(":")
    return INSTANT.to_internal_value(hour + colon + rest.replace(" ", "+"))
