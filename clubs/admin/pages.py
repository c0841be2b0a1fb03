"""What these pages share: the colours of states, and the frame around the two over all of them."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from common.back_office import own_page

STATUS_COLORS = {"Active": "success", "Paused": "warning", "Cancelled": "danger", "None": "info"}
CLUB_COLORS = {"Active": "success", "Closed": "warning", "Inactive": "danger", "None": "info"}
STATE_COLORS = {
    "Succeeded": "success",
    "Failed": "info",
    "Unknown": "danger",
    "Under way": "warning",
}


def tab_page(
    admin: ModelAdmin, request: HttpRequest, name: str, *, title: str, **context: Any
) -> HttpResponse:
    """`name` is the template's, which marks its tab."""
    template = f"admin/clubs/{name}.html"
    return own_page(admin, request, template, title=title, page=name, **context)
