"""A production that could be sent into its own machine is refused."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def webhooks(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.WEBHOOKS_TO_LOOPBACK:
        return []
    hint = "It is for trying a receiver out: unset WEBHOOKS_TO_LOOPBACK."
    return [Error("Webhooks may go to this machine itself.", hint=hint, id="accrue.E030")]
