"""Cursor pages: `{next, previous, results}`, stable while rows arrive."""

import base64
import binascii
import re
from typing import Any
from urllib.parse import parse_qs

from django.db.models import QuerySet
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

    def decode_cursor(self, request: Request) -> Cursor | None:
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            text = base64.b64decode(encoded.encode("ascii"), validate=True).decode("ascii")
            found = parse_qs(text, keep_blank_values=True, strict_parsing=True)
            position = found.get("p", [None])[0]
            offset = int(found.get("o", ["0"])[0])
            if not 0 <= offset <= self.offset_cutoff:  # type: ignore[operator]
                raise ValueError(offset)
            return Cursor(offset, found.get("r", ["0"])[0] == "1", self.checked(position))
        except (ValueError, binascii.Error):
            raise InvalidInput(
                fault("/cursor", "invalid", "Not a cursor that this API gave out.")
            ) from None

    def checked(self, position: str | None) -> str | None:
        """Raises ValueError unless the ordering column can hold it: forged, it is bad input."""
        if position is not None and self.column is not None:
            self.column.to_python(position)
            if "\x00" in position:
                raise ValueError(position)
        return position

    column: Any = None

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: Any = None
    ) -> list[Any] | None:
        name = self.get_ordering(request, queryset, view)[0].lstrip("-")
        self.column = queryset.model._meta.get_field(name)
        return super().paginate_queryset(queryset, request, view)
