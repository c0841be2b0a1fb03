"""A wrong production set-up is refused before it answers anybody."""

import re
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


@register(Tags.security, deploy=True)
def production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(Error("DEBUG is on.", hint="Set DEBUG=0.", id="accrue.E001"))
    if len(secret_key()) < 50:
        hint = "Set SECRET_KEY to at least 50 random characters."
        found.append(Error("There is no good secret key.", hint=hint, id="accrue.E002"))
    if not settings.GATEWAY_SECRET:
        hint = "Without it anybody who reaches us can name himself any user: set GATEWAY_SECRET."
        found.append(Error("There is no gateway secret.", hint=hint, id="accrue.E003"))
    elif not VISIBLE_ASCII.fullmatch(settings.GATEWAY_SECRET):
        hint = "A header carries visible ASCII characters only."
        found.append(Error("The gateway cannot send this secret.", hint=hint, id="accrue.E005"))
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        hint = "Set ALLOWED_HOSTS to the names we are called by."
        found.append(Error("Any host name is answered.", hint=hint, id="accrue.E004"))
    return found


def secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return ""


@register()
def wallet_elsewhere(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.WALLET_BACKEND == "wallet.backends.local":
        return []
    if settings.WALLET_BACKEND != "wallet.backends.http":
        hint = "wallet.backends.local or wallet.backends.http."
        return [Error("There is no such wallet backend.", hint=hint, id="accrue.E010")]
    if not (settings.WALLET_URL and settings.WALLET_API_KEY):
        hint = "Set WALLET_URL and WALLET_API_KEY (scope wallet.write)."
        return [Error("The wallet elsewhere cannot be reached.", hint=hint, id="accrue.E011")]
    return []
