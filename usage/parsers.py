"""The body of `POST /usage/`: what no field can take spoils its own record, not the batch."""

import json
import re
from itertools import islice
from typing import Any

from common.parsers import (
    DEEPEST,
    MOST_FAULTS,
    SUSPICIOUS,
    StrictJSONParser,
    Unusable,
    decode_json,
    exact_decimal,
    impossible_values,
    refuse_constant,
)
from common.problems import InvalidInput
from usage.reading import Spoilt

# Without hooks for objects and integers: a batch of a thousand is read in half the time.
PLAIN = json.JSONDecoder(parse_float=exact_decimal, parse_constant=refuse_constant)
NAME = re.compile(r'"\s*:')


class UsageParser(StrictJSONParser):
    def read(self, body: bytes) -> Any:
        """Raises MalformedJSON, and InvalidInput for what is wrong outside of a batch's records."""
        if (plain := decode_plain(body)) is not None:
            return plain
        value, is_suspect = decode_json(body)
        if not is_suspect:
            return value
        records: list[Any] = []
        if isinstance(value, dict) and isinstance(value.get("records"), list):
            records, value["records"] = value["records"], []
        if faults := list(islice(impossible_values(value, ""), MOST_FAULTS)):
            raise InvalidInput(*faults)
        if records:
            value["records"] = [usable(record) for record in records]
        return value


def usable(record: Any) -> Any:
    faults = list(islice(impossible_values(record, ""), MOST_FAULTS))
    return Spoilt(record, faults) if faults else record


def decode_plain(body: bytes) -> dict[str, Any] | None:
    """A record or a batch of records in which nothing needs a closer look; None for all else."""
    try:
        text = body.decode()
        value = PLAIN.decode(text)
    except (ValueError, RecursionError, Unusable):
        return None
    # A quotation mark that is escaped would spoil the counting.
    if type(value) is not dict or ("\\" in text and (r"\"" in text or SUSPICIOUS.search(text))):
        return None
    records = value.get("records", [])
    if type(records) is not list or not all(type(record) is dict for record in records):
        return None
    # As many names in the text as in what was read: none was there twice.
    names = text.count('":')
    if names != text.count(":"):  # also in a text or after white space
        names = len(NAME.findall(text))
    if names != len(value) + sum(map(len, records)):
        return None
    if text.count("[") + text.count("{") - len(records) > DEEPEST:
        return None
    return value
