"""The body of `POST /usage/`: what no field can take spoils its own record, not the batch."""

from datetime import datetime
from itertools import islice
from typing import Any

from django.utils import timezone

from common.parsers import MOST_FAULTS, StrictJSONParser, decode_json, impossible_values
from common.problems import InvalidInput
from usage.reading import Spoilt, Unfit, Usage, read_sent
from usage.wire import decode_batch


class UsageParser(StrictJSONParser):
    def read(self, body: bytes) -> Any:
        """Raises MalformedJSON, and InvalidInput for what is wrong outside of a batch's records."""
        if (batch := read_swiftly(body, timezone.now())) is not None:
            return {"records": batch}
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


def read_swiftly(body: bytes, now: datetime) -> list[Usage] | None:
    """A batch in which each record is fit to be used."""
    try:
        return None if (sent := decode_batch(body)) is None else read_sent(sent, now)
    except Unfit:
        return None
