"""A shop that cannot be reached, or a month that nobody can tell, is said at the start."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


@register()
def billing_zone(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    try:
        ZoneInfo(settings.BILLING_TIME_ZONE)
    except (KeyError, ValueError, OSError):
        hint = "BILLING_TIME_ZONE is a name like Europe/Berlin or UTC."
        return [Error("There is no such time zone to bill in.", hint=hint, id="clubs.E001")]
    return []


@register()
def shop(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What is set must be right; the values themselves are never shown."""
    found: list[CheckMessage] = []
    if settings.ECOMMERCE_URL and not is_address(settings.ECOMMERCE_URL):
        hint = "ECOMMERCE_URL is http:// or https://, a host, and no name or password."
        found.append(Error("The shop has no usable address.", hint=hint, id="clubs.E002"))
    secrets = {
        name: getattr(settings, name) for name in ("ECOMMERCE_API_KEY", "ECOMMERCE_API_SECRET")
    }
    for name, value in secrets.items():
        if value and not VISIBLE_ASCII.fullmatch(value):
            hint = "A header carries visible ASCII characters only."
            found.append(Error(f"{name} cannot be sent.", hint=hint, id="clubs.E003"))
    if settings.ECOMMERCE_URL and not all(secrets.values()):
        hint = "Set ECOMMERCE_API_KEY and ECOMMERCE_API_SECRET."
        # While developing, a shop may want none.
        kind = Warning if settings.DEBUG else Error
        found.append(kind("The shop has no keys.", hint=hint, id="clubs.E004"))
    if not 0 < settings.ECOMMERCE_TIMEOUT <= 60:
        hint = "ECOMMERCE_TIMEOUT is a number of seconds up to 60."
        found.append(Error("The shop has no usable timeout.", hint=hint, id="clubs.E005"))
    return found


@register(Tags.security, deploy=True)
def shop_is_there(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    # A warning: an installation without clubs needs no shop.
    if settings.ECOMMERCE_URL:
        return []
    hint = (
        "Without it no club is charged: set ECOMMERCE_URL, ECOMMERCE_API_KEY, ECOMMERCE_API_SECRET."
    )
    return [Warning("There is no shop.", hint=hint, id="clubs.W001")]


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises when it is none
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
