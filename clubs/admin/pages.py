"""What these pages share: a form on a page of its own, labels, links."""

from typing import Any

from django import forms
from django.contrib.admin import helpers
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import escape, format_html
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


def page_of(kind: str, key: int | str) -> str:
    return reverse(f"admin:clubs_{kind}_change", args=[quote(key)])


def link(kind: str, key: int | str, text: object) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', page_of(kind, key), text)


def form_page(
    admin: ModelAdmin,
    request: HttpRequest,
    form: forms.Form,
    *,
    title: str,
    description: str,
    button: str,
    back: str,
) -> HttpResponse:
    # A description is taken for HTML, and what it names has its name from outside.
    fields = {"fields": list(form.fields), "description": escape(f"{title}. {description}")}
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
        "back": back,
    }
    response: TemplateResponse = admin.render_change_form(request, context, add=True)
    # Not the admin's own `add_form_template`: that is the form which adds a club.
    response.template_name = "admin/clubs/form.html"
    return response


def own_page(
    admin: ModelAdmin, request: HttpRequest, name: str, *, title: str, **context: Any
) -> HttpResponse:
    """`name` is the template's, which marks its tab."""
    request.current_app = admin.admin_site.name
    frame = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": title,
        "page": name,
    }
    return TemplateResponse(request, f"admin/clubs/{name}.html", {**frame, **context})
