"""Pages beside those of the rows: links, who may, a page of one's own, and one with a form."""

from typing import Any

from django.contrib.admin import helpers
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import escape, format_html
from unfold.admin import ModelAdmin
from unfold.forms import AdminForm


def page_of(model: type[Model], key: object) -> str:
    """The address of one row's page."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return reverse(name, args=[quote(key)])  # type: ignore[arg-type]


def link(model: type[Model], key: object, text: object) -> str:
    return anchor(page_of(model, key), text)


def anchor(address: str, text: object) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', address, text)


def expect(is_allowed: bool) -> None:
    if not is_allowed:
        raise PermissionDenied


def own_page(
    admin: ModelAdmin, request: HttpRequest, template: str, *, title: str, **context: Any
) -> TemplateResponse:
    request.current_app = admin.admin_site.name
    frame = {**admin.admin_site.each_context(request), "opts": admin.opts, "title": title}
    return TemplateResponse(request, template, {**frame, **context})


def form_page(
    admin: ModelAdmin,
    request: HttpRequest,
    form: Form,
    *,
    title: str,
    description: str,
    button: str,
    back: str,
) -> HttpResponse:
    """A form that is no row's, in the dress of those that are."""
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
    # Not the admin's own `add_form_template`: that is the form which adds a row.
    response.template_name = "admin/common/form.html"
    return response
