"""Files of usage: one record a line, as CSV or as JSON, with the API's own rules and verdicts."""

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import BinaryIO, NamedTuple

from common.parsers import impossible_values, parse_json
from common.problems import InvalidInput, Problem, fault
from usage.batches import record_many
from usage.reading import FIELDS, REQUIRED, Usage, read_usage

BATCH = 1000


class Line(NamedTuple):
    """`report` is the verdict's word, or what is wrong."""

    number: int
    report: str
    end: int  # bytes of the file that were read so far


def import_lines(file: BinaryIO, *, is_csv: bool, owner: str, now: datetime) -> Iterator[Line]:
    """Record a thousand lines at a time and yield what became of each, in order.

    Every record has its key, so that a file read again, or from where it broke off, adds nothing.
    Raises InvalidInput for a CSV file whose first line does not name the columns.
    """
    lines = csv_lines(file) if is_csv else json_lines(file)
    while several := list(islice(lines, BATCH)):
        reports: list[str | None] = []
        batch: list[Usage] = []
        for _, record, _ in several:
            try:
                if isinstance(record, Problem):
                    raise record
                batch.append(read_usage(record, now=now))
                reports.append(None)
            except Problem as refused:
                reports.append(f"invalid: {refused.detail}")
        verdicts = iter(record_many(owner=owner, batch=batch, now=now))
        for (number, _, end), report in zip(several, reports, strict=True):
            yield Line(number, report or next(verdicts).status, end)


def json_lines(file: BinaryIO) -> Iterator[tuple[int, object, int]]:
    end = 0
    for number, line in enumerate(file, 1):
        end += len(line)
        if line.strip():
            yield number, parsed(line.removeprefix(b"\xef\xbb\xbf")), end


def parsed(line: bytes) -> object:
    try:
        return parse_json(line)
    except Problem as refused:
        return refused


def csv_lines(file: BinaryIO) -> Iterator[tuple[int, object, int]]:
    end = 0

    def text() -> Iterator[str]:
        nonlocal end
        for line in file:
            is_first, end = end == 0, end + len(line)
            yield line.decode("utf-8-sig" if is_first else "utf-8", "surrogateescape")

    reader = csv.reader(text(), strict=True)
    try:
        columns = next(reader, [])
    except csv.Error as error:
        raise InvalidInput(fault("", "invalid", str(error))) from None
    expect_columns(columns)
    while True:
        try:
            cells = next(reader)
            if cells:
                yield reader.line_num, record_of(columns, cells), end
        except StopIteration:
            return
        except (csv.Error, InvalidInput) as error:
            refusal = InvalidInput(fault("", "invalid", str(error)))
            yield reader.line_num, refusal, end


def expect_columns(columns: list[str]) -> None:
    missing = [name for name in ("idempotencyKey", *REQUIRED) if name not in columns]
    unknown = [name for name in columns if name not in FIELDS or columns.count(name) > 1]
    faults = [fault(f"/{name}", "required", "There is no such column.") for name in missing]
    faults += [fault(f"/{name}", "unknown-field", "Not a column, or twice.") for name in unknown]
    if faults:
        raise InvalidInput(*faults)


def record_of(columns: list[str], cells: list[str]) -> dict[str, object]:
    """Raises InvalidInput."""
    if len(cells) != len(columns):
        detail = f"{len(cells)} cells for {len(columns)} columns."
        raise InvalidInput(fault("", "invalid", detail))
    record: dict[str, object] = dict(zip(columns, cells, strict=True))
    # Bytes that are not UTF-8 were read as lone surrogates.
    if faults := list(impossible_values(record, "")):
        raise InvalidInput(*faults)
    if not record.get("recordedAt"):
        record.pop("recordedAt", None)
    if re.fullmatch(r"[1-9][0-9]{0,18}", str(record["customerId"]), re.ASCII):
        record["customerId"] = int(str(record["customerId"]))
    return record
