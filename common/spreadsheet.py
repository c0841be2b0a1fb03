"""CSV for a spreadsheet: streamed row by row, and harmless in it."""

import csv
from collections.abc import Iterable, Iterator

from django.http import StreamingHttpResponse
from django.utils import timezone

# What a spreadsheet takes for the start of a formula, its full-width forms included; some drop
# white space before it.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_lines(columns: list[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """One line each, the header first."""
    writer = csv.writer(Line())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([harmless(value) for value in row])


def download(name: str, lines: Iterable[str]) -> StreamingHttpResponse:
    """The file is called after the day, too."""
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{timezone.now():%F}.csv"'},
    )


class Line:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def harmless(value: object) -> object:
    if isinstance(value, str) and (value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)):
        return f"'{value}"
    return value.isoformat() if hasattr(value, "isoformat") else value
