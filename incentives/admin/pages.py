"""What the pages share: links, and a question before anything that cannot be undone."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from common.problems import Problem

PUBLISH = "incentives.publish_programme"
SETTLE = "incentives.settle_achievement"


def page_of(kind: str, key: object) -> str:
    return reverse(f"admin:incentives_{kind}_change", args=[key])


def link(kind: str, key: object, text: object) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', page_of(kind, key), text)


def staff(user: AbstractBaseUser | AnonymousUser) -> str:
    return f"staff:{user.get_username()}"


def expect(is_allowed: bool) -> None:
    if not is_allowed:
        raise PermissionDenied


def page(admin: ModelAdmin, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    return TemplateResponse(
        request,
        f"admin/incentives/{template}.html",
        {**admin.admin_site.each_context(request), "opts": admin.model._meta, **context},
    )


def ask_first(
    admin: ModelAdmin,
    request: HttpRequest,
    *,
    title: str,
    text: str,
    back: str,
    act: Callable[[str], str],
    is_note_asked: bool = False,
    original: Any = None,
) -> HttpResponse:
    """A page with a question; its button does it. `act` takes the note and says what was done."""
    if request.method == "POST":
        try:
            messages.success(request, act(request.POST.get("note", "").strip()[:500]))
        except Problem as refused:
            messages.error(request, refused.detail)
        return redirect(back)
    return page(
        admin,
        request,
        "question",
        title=title,
        text=text,
        back=back,
        is_note_asked=is_note_asked,
        original=original,
    )
