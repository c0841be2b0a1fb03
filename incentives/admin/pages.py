"""What the pages share: a question before anything that cannot be undone."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from common.back_office import own_page
from common.problems import Problem

PUBLISH = "incentives.publish_programme"
SETTLE = "incentives.settle_achievement"


def staff(user: AbstractBaseUser | AnonymousUser) -> str:
    return f"staff:{user.get_username()}"


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
    return own_page(
        admin,
        request,
        "admin/incentives/question.html",
        title=title,
        text=text,
        back=back,
        is_note_asked=is_note_asked,
        original=original,
    )
