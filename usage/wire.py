"""A batch as it comes over the wire, where nothing in it needs a closer look."""

import re
from typing import Annotated

from msgspec import UNSET, DecodeError, Meta, Raw, Struct, UnsetType
from msgspec.json import Decoder

from common import parsers as strict
from common.idempotency import LONGEST_KEY, VISIBLE
from common.identity import LARGEST_BIGINT
from usage.models import LONGEST_SERVICE

# Escaped: what no field can take, or a colon, which spoils the counting.
SUSPICIOUS = re.compile(rb"%s|\\u003a" % strict.SUSPICIOUS.pattern.encode(), re.IGNORECASE)
ALL_VISIBLE = re.compile(f"{VISIBLE}*")
# What is remembered is not to fill the memory with white space.
LONGEST_KNOWN = 2 * LONGEST_SERVICE


class Sent(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A record whose numbers nobody has read yet, for no digit may be lost."""

    customer_id: Annotated[int, Meta(ge=1, le=LARGEST_BIGINT)]
    service: Annotated[str, Meta(max_length=LONGEST_KNOWN)]
    units_consumed: Raw
    price_per_unit: Raw
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]
    recorded_at: str | UnsetType = UNSET


class Batch(Struct, forbid_unknown_fields=True):
    records: list[Sent]


DECODER = Decoder(Batch)
ALWAYS_THERE = len(Sent.__struct_fields__) - 1


def decode_batch(body: bytes) -> list[Sent] | None:
    """The records; None for whatever is no plain batch of them."""
    if b"\\" in body and SUSPICIOUS.search(body):
        return None
    try:
        records = DECODER.decode(body).records
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # Of all keys at once: asking for each would take as long as decoding all of them.
    keys = "".join([each.idempotency_key for each in records])
    return (
        records if ALL_VISIBLE.fullmatch(keys) and colons_in(records) == body.count(b":") else None
    )


def colons_in(records: list[Sent]) -> int:
    """How many a body with these records has; with a name that is there twice it has more."""
    times = [each.recorded_at for each in records if each.recorded_at is not UNSET]
    names = 1 + ALWAYS_THERE * len(records) + len(times)
    services = [each.service for each in records]
    keys = [each.idempotency_key for each in records]
    return names + sum("".join(texts).count(":") for texts in (services, keys, times))
