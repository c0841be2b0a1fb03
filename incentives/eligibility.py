"""Eligibility by file: a whole file or nothing, every fault with its line."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from common.identity import canonical_user_id
from incentives.days import local_day, zones
from incentives.models import Employer

COLUMNS = ["user_id", "starts_on", "ends_on", "timezone"]
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
MOST_FAULTS = 20
# More than this share of the members gone at once is taken for a mistake until it is confirmed.
HELD_ABOVE_PERCENT = 20


class Row(NamedTuple):
    user_id: str
    starts_on: date
    ends_on: date | None
    timezone: str


class BadFile(Exception):
    """The file is refused; `faults` are lines such as `line 3: …`."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Held(Exception):
    """The file would remove too many; nothing was changed."""

    def __init__(self, removed: int, members: int) -> None:
        super().__init__(
            f"The file would remove {removed:,} of {members:,} members, "
            f"which is over {HELD_ABOVE_PERCENT} %."
        )


@dataclass
class Imported:
    """How many members came new, were changed, were named without news, and left."""

    added: int
    changed: int
    unchanged: int
    removed: int


def read_rows(lines: Iterable[str]) -> list[Row]:
    """Raises BadFile naming the lines; bytes that are not UTF-8 are expected as surrogates."""
    reader = csv.reader(encodable(lines), strict=True)
    faults: list[str] = []
    rows: list[tuple[int, Row]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise BadFile([f"line 1: the columns are {','.join(COLUMNS)}."])
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) != len(header):
                faults.append(f"line {line}: {len(cells)} columns, not {len(header)}.")
                continue
            said = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            found = read_row(said)
            if isinstance(found, Row):
                rows.append((line, found))
            else:
                faults += [f"line {line}: {each}" for each in found]
            if len(faults) >= MOST_FAULTS:
                break
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: not CSV: {error}.")
    except UnicodeEncodeError:
        faults.append(f"line {reader.line_num + 1}: not UTF-8.")
    faults += overlaps(rows)
    if faults:
        raise BadFile(faults[:MOST_FAULTS])
    return [row for _, row in rows]


def encodable(lines: Iterable[str]) -> Iterator[str]:
    """Raises UnicodeEncodeError at the first line with a surrogate."""
    for line in lines:
        line.encode()
        yield line


def read_row(said: dict[str, str]) -> Row | list[str]:
    faults = []
    user_id = canonical_user_id(said["user_id"])
    if user_id is None:
        faults.append("user_id is neither a UUID nor a positive BigInt.")
    starts_on = read_day(said["starts_on"])
    if starts_on is None:
        faults.append("starts_on is not a day, YYYY-MM-DD.")
    ends_on = read_day(said["ends_on"])
    if ends_on is None and said["ends_on"]:
        faults.append("ends_on is not a day, YYYY-MM-DD.")
    if starts_on and ends_on and ends_on < starts_on:
        faults.append("ends_on is before starts_on.")
    if said["timezone"] and said["timezone"] not in zones():
        faults.append("timezone is not an IANA time zone, such as Europe/Berlin.")
    if faults or user_id is None or starts_on is None:
        return faults
    return Row(user_id, starts_on, ends_on, said["timezone"])


def read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def overlaps(rows: Iterable[tuple[int, Row]]) -> Iterator[str]:
    latest: dict[str, tuple[int, Row]] = {}
    for line, row in sorted(rows, key=lambda each: (each[1].user_id, each[1].starts_on)):
        if row.user_id in latest:
            other_line, other = latest[row.user_id]
            if other.ends_on is None or row.starts_on <= other.ends_on:
                first, second = sorted((line, other_line))
                yield f"line {second}: overlaps the period of line {first}."
        latest[row.user_id] = (line, row)


STAGE = """
CREATE TEMPORARY TABLE given (
    user_id varchar(36), starts_on date, ends_on date, timezone varchar(64)
)
"""

FILL = (
    "INSERT INTO given SELECT * FROM unnest(%s::varchar[], %s::date[], %s::date[], %s::varchar[])"
)
ROWS_AT_ONCE = 10_000

OVERLAP = """
mine.user_id = given.user_id AND daterange(mine.starts_on, mine.ends_on, '[]')
                              && daterange(given.starts_on, given.ends_on, '[]')
"""
SAME = """
mine.user_id = given.user_id
AND (mine.starts_on, mine.ends_on, mine.timezone)
    IS NOT DISTINCT FROM (given.starts_on, given.ends_on, given.timezone)
"""

# The file's periods take the place of those they overlap; others stay, as history.
REPLACED = f"""
DELETE FROM incentives_eligibility mine USING given
WHERE mine.employer_id = %(employer)s AND {OVERLAP} AND NOT ({SAME})
RETURNING mine.user_id
"""  # noqa: S608

ADDED = f"""
INSERT INTO incentives_eligibility (employer_id, user_id, starts_on, ends_on, timezone)
SELECT %(employer)s, user_id, starts_on, ends_on, timezone FROM given
WHERE NOT EXISTS (
    SELECT FROM incentives_eligibility mine WHERE mine.employer_id = %(employer)s AND {SAME}
)
RETURNING user_id
"""  # noqa: S608

# With a full file, who or what it does not name ended yesterday, or will not begin.
CANCELLED = f"""
DELETE FROM incentives_eligibility mine
WHERE employer_id = %(employer)s AND starts_on >= %(today)s
  AND NOT EXISTS (SELECT FROM given WHERE {OVERLAP})
RETURNING user_id
"""  # noqa: S608

ENDED = f"""
UPDATE incentives_eligibility mine SET ends_on = %(today)s::date - 1
WHERE employer_id = %(employer)s AND (ends_on IS NULL OR ends_on >= %(today)s)
  AND NOT EXISTS (SELECT FROM given WHERE {OVERLAP})
RETURNING user_id
"""  # noqa: S608

MEMBERS = """
SELECT DISTINCT user_id FROM incentives_eligibility
WHERE employer_id = %(employer)s AND (ends_on IS NULL OR ends_on >= %(today)s)
"""

KNOWN = "SELECT DISTINCT user_id FROM incentives_eligibility WHERE employer_id = %(employer)s"


@transaction.atomic
def import_rows(
    *,
    employer: Employer,
    rows: Sequence[Row],
    is_full: bool,
    is_confirmed: bool,
    now: datetime,
) -> Imported:
    """Make the file true, all of it or nothing; a trigger has whom it concerns counted anew.

    Raises Held when a full file would end the eligibility of too many.
    """
    # One import at a time for each employer.
    Employer.objects.select_for_update(no_key=True).get(pk=employer.pk)
    facts: dict[str, Any] = {"employer": employer.pk, "today": local_day(now, employer.timezone)}
    with connection.cursor() as cursor:

        def users(statement: str) -> set[str]:
            cursor.execute(statement, facts)
            return {user_id for (user_id,) in cursor}

        cursor.execute(STAGE)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            cursor.execute(FILL, [list(column) for column in zip(*some, strict=True)])
        cursor.execute("ANALYZE given")
        known, members = users(KNOWN), users(MEMBERS)
        touched = users(REPLACED) | users(ADDED)
        left = set[str]()
        if is_full:
            touched |= users(CANCELLED) | users(ENDED)
            left = members - users(MEMBERS)
            if len(left) * 100 > HELD_ABOVE_PERCENT * len(members) and not is_confirmed:
                raise Held(len(left), len(members))
        cursor.execute("DROP TABLE given")
    named = {row.user_id for row in rows}
    return Imported(
        added=len(named - known),
        changed=len((touched & known) - left),
        unchanged=len(named - touched),
        removed=len(left),
    )
