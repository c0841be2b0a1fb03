"""What these pages share: a form on a page of its own, labels, links."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.forms import AdminForm

STATUS_COLORS = {"Active": "success", "Paused": "warning", "Cancelled": "danger", "None": "info"}
CLUB_COLORS = {"Active": "success", "Closed": "warning", "Inactive": "danger", "None": "info"}
STATE_COLORS = {
    "Succeeded": "success",
    "Failed": "info",
    "Unknown": "danger",
    "Under way": "warning",
}


def expect(is_allowed: bool) -> None:
    if not is_allowed:
        raise PermissionDenied


def page_of(kind: str, key: object) -> str:
    return reverse(f"admin:clubs_{kind}_change", args=[key])


def link(kind: str, key: object, text: object) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', page_of(kind, key), text)


def moment(at: datetime | None) -> str:
    if at is None:
        return "–"
    return format_html('<span class="whitespace-nowrap">{}</span>', f"{at:%Y-%m-%d %H:%M}")


def when(at: datetime | None) -> str:
    """Whether a decision is in effect."""
    if at is None:
        return "Never"
    return "Planned" if at > timezone.now() else "In effect"


def form_page(
    admin: ModelAdmin,
    request: HttpRequest,
    form: forms.Form,
    *,
    title: str,
    description: str,
    button: str,
) -> HttpResponse:
    fields = {"fields": list(form.fields), "description": f"{title}. {description}"}
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "adminform": AdminForm(form, [(None, fields)], {}, [], model_admin=admin),
        "errors": helpers.AdminErrorList(form, []),  # type: ignore[arg-type]
        "inline_admin_formsets": [],
        "media": admin.media + form.media,
        "is_popup": False,
        "original": None,
        "button": button,
    }
    admin.add_form_template = "admin/clubs/form.html"
    response: HttpResponse = admin.render_change_form(request, context, add=True)
    return response


def own_page(
    admin: ModelAdmin, request: HttpRequest, name: str, *, title: str, **context: Any
) -> HttpResponse:
    """`name` is the template's."""
    request.current_app = admin.admin_site.name
    frame = {**admin.admin_site.each_context(request), "opts": admin.opts, "title": title}
    return TemplateResponse(request, f"admin/clubs/{name}.html", {**frame, **context})
