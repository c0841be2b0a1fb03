"""Records from a file: NDJSON or CSV, one a line, with a key that the next reading finds again."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from usage_client.errors import InvalidRecord
from usage_client.records import Usage

KEYS = {"idempotency_key", "idempotencyKey", "identity"}


class Line(NamedTuple):
    """What stands in a line: a record, or why it is none."""

    number: int
    record: Usage | InvalidRecord


def read(file: TextIO, kind: str, dataset: str | None) -> Iterator[Line]:
    """The lines of an open file of this `kind`, "csv" or "ndjson".

    A line without a key or an identity of its own gets one from the data set's name, what the
    line says, and how many lines before it say the same. So a file can be read again, and one to
    which lines were added too; two honest files that look alike need two names.
    """
    seen: Counter[bytes] = Counter()
    for number, fields in (csv_lines if kind == "csv" else ndjson_lines)(file):
        try:
            if isinstance(fields, InvalidRecord):
                raise fields
            yield Line(number, usage_of(fields, dataset, seen))
        except InvalidRecord as error:
            yield Line(number, error)


def usage_of(fields: Mapping[str, Any], dataset: str | None, seen: Counter[bytes]) -> Usage:
    if any(fields.get(name) is not None for name in KEYS):
        return Usage.of(fields)
    if not dataset:
        raise InvalidRecord.at("identity", "is missing, and there is no name of the data set.")
    content = hashlib.sha256(Usage.of(fields).body).digest()[:16]
    seen[content] += 1
    return Usage.of({**fields, "identity": f"{dataset}\n{content.hex()}\n{seen[content]}"})


def ndjson_lines(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | InvalidRecord]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                # Exactly: a JSON number is no float here.
                fields = json.loads(line, parse_float=Decimal, object_pairs_hook=once)
            except (ValueError, ArithmeticError, RecursionError) as error:
                yield number, InvalidRecord(f"not JSON: {error}")
                continue
            is_object = isinstance(fields, dict)
            yield number, fields if is_object else InvalidRecord("not a JSON object")


def csv_lines(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | InvalidRecord]]:
    reader = csv.DictReader(file, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                yield reader.line_num, InvalidRecord("not as many cells as the heading")
                continue
            fields: dict[str, Any] = {name.strip(): cell for name, cell in row.items() if cell}
            for name in ("customer_id", "customerId"):
                if re.fullmatch(r"[0-9]{1,19}", fields.get(name, "")):
                    fields[name] = int(fields[name])
            yield reader.line_num, fields
    except csv.Error as error:
        yield reader.line_num, InvalidRecord(f"not CSV: {error}")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def kind_of(path: str) -> str:
    return "csv" if Path(path).suffix.lower() == ".csv" else "ndjson"
