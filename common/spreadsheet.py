"""CSV for a spreadsheet: streamed row by row, and harmless in it."""

import csv
from collections.abc import Iterable, Iterator

# What a spreadsheet takes for the start of a formula, its full-width forms included.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_lines(columns: list[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """One line each, the header first."""
    writer = csv.writer(Line())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([harmless(value) for value in row])


class Line:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value.isoformat() if hasattr(value, "isoformat") else value
