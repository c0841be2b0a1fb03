"""Cursor pages: `{next, previous, results}`, stable while rows arrive."""

import base64
import re
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from common.problems import InvalidInput, fault


class CursorPage(CursorPagination):
    """A view sets `ordering` to a unique column, so that the order is total."""

    page_size_query_param = "page_size"
    max_page_size = 100

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

    def decode_cursor(self, request: Request) -> Cursor | None:
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            text = base64.b64decode(encoded.encode("ascii"), validate=True).decode("ascii")
            found = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
            if not found.keys() <= {"o", "r", "p"} or not found:
                raise ValueError(text)
            offset = int(found.get("o", "0"))
            if not 0 <= offset <= self.offset_cutoff:
                raise ValueError(offset)
            position: Any = self.checked(found.get("p"))
            return Cursor(offset, found.get("r") == "1", position)
        except (ValueError, ValidationError):
            raise InvalidInput(
                fault("/cursor", "invalid", "Not a cursor that this API gave out.")
            ) from None

    def checked(self, position: str | None) -> str | None:
        """Raises unless the ordering column can hold it: forged, it is bad input."""
        if position is not None:
            self.column.to_python(position)
            if "\x00" in position:
                raise ValueError(position)
        return position

    column: Any

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        name = self.get_ordering(request, queryset, view)[0].lstrip("-")
        self.column = queryset.model._meta.get_field(name)
        return super().paginate_queryset(queryset, request, view)
