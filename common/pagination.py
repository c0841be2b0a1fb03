"""Cursor pages: `{next, previous, results}`, stable while rows arrive."""

import base64
import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from django.core.exceptions import ValidationError
from django.db.models import Q
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from common.problems import InvalidInput, fault


class Cursor(NamedTuple):
    """What a row has in the columns of the order, and which way to go from there."""

    place: list[str]
    is_back: bool


START = Cursor([], is_back=False)


class CursorPage(CursorPagination):
    """A view sets `ordering` to columns that are unique together, all rising or all falling.

    So the order is total, and a place in it needs no offset, which the framework's own pages take
    for rows that are alike in the first column: it grows with their number, and has a limit.
    """

    page_size_query_param = "page_size"
    max_page_size = 100
    columns: list[Any]
    base_url: str
    next: Cursor | None = None
    previous: Cursor | None = None

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get("page_size")
        if given is None:
            return self.page_size or 20
        if not re.fullmatch(r"[1-9][0-9]{0,2}", given, re.ASCII) or int(given) > 100:
            raise InvalidInput(fault("/page_size", "out-of-range", "A number from 1 to 100."))
        return int(given)

    def get_schema_operation_parameters(self, view: Any) -> list[Any]:
        page_size = {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
        return [
            {**each, "schema": page_size} if each["name"] == self.page_size_query_param else each
            for each in super().get_schema_operation_parameters(view)
        ]

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        ordering = self.get_ordering(request, queryset, view)
        names = [name.lstrip("-") for name in ordering]
        self.columns = [queryset.model._meta.get_field(name) for name in names]
        self.base_url = request.build_absolute_uri()
        size = self.get_page_size(request)
        cursor = self.cursor_of(request) or START
        queryset = queryset.order_by(*ordering)
        if cursor.place:
            is_falling = ordering[0].startswith("-") != cursor.is_back
            place = list(zip(names, cursor.place, strict=True))
            queryset = queryset.filter(beyond(place, "lt" if is_falling else "gt"))
        found = list((queryset.reverse() if cursor.is_back else queryset)[: size + 1])
        page = found[:size][::-1] if cursor.is_back else found[:size]
        first, last = [self.place_of(page[at]) if page else cursor.place for at in (0, -1)]
        # One more than the page was looked for ahead; behind us is where we come from.
        ahead, behind = len(found) > size, bool(cursor.place)
        if behind if cursor.is_back else ahead:
            self.next = Cursor(last, is_back=False)
        if ahead if cursor.is_back else behind:
            self.previous = Cursor(first, is_back=True)
        return page

    def place_of(self, row: Any) -> list[str]:
        return [str(getattr(row, column.attname)) for column in self.columns]

    def get_next_link(self) -> str | None:
        return self.link(self.next)

    def get_previous_link(self) -> str | None:
        return self.link(self.previous)

    def link(self, cursor: Cursor | None) -> str | None:
        if cursor is None:
            return None
        said = urlencode({**({"r": "1"} if cursor.is_back else {}), "p": cursor.place}, doseq=True)
        encoded = base64.b64encode(said.encode()).decode()
        return replace_query_param(self.base_url, self.cursor_query_param, encoded)

    def cursor_of(self, request: Request) -> Cursor | None:
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            text = base64.b64decode(encoded.encode("ascii"), validate=True).decode("ascii")
            said = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
            place = [value for name, value in said if name == "p"]
            if not {name for name, _ in said} <= {"p", "r"}:
                raise ValueError(text)
            for column, value in zip(self.columns, place, strict=True):
                expect_possible(column, value)
            return Cursor(place, is_back=("r", "1") in said)
        except (ValueError, ValidationError):
            raise InvalidInput(
                fault("/cursor", "invalid", "Not a cursor that this API gave out.")
            ) from None


# What a page takes of a query besides its filters.
PAGE = (CursorPage.cursor_query_param, CursorPage.page_size_query_param)


def beyond(place: list[tuple[str, str]], way: str) -> Q:
    """What comes later: by the first column, which bounds the index, or else by the next."""
    (name, value), *rest = place
    later = Q(**{f"{name}__{way}": value})
    return Q(**{f"{name}__{way}e": value}) & (later | beyond(rest, way)) if rest else later


def expect_possible(column: Any, text: str) -> None:
    """Raises unless the column can hold it: forged, it is bad input."""
    value = column.to_python(text)
    # Ours are in UTC, and the database takes no offset of 16 hours or more.
    if "\x00" in text or (isinstance(value, datetime) and value.utcoffset() != timedelta()):
        raise ValueError(text)
