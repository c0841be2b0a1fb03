"""Whether the process lives, and whether it can work."""

import logging
from functools import cache

from django.apps import apps
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 when the database answers, its schema is the code's and the queue can be written."""
    checks = {"database": False, "migrations": False, "queue": False}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["database"] = True
        checks["migrations"] = (
            migrations() <= MigrationRecorder(connection).applied_migrations().keys()
        )
        checks["queue"] = is_queue_there()
    except Error as error:
        logger.warning("Not ready: %s", type(error.__cause__ or error).__name__)
    is_ready = all(checks.values())
    response = JsonResponse(
        {"status": "ready" if is_ready else "not ready", **checks}, status=200 if is_ready else 503
    )
    if not is_ready:
        response["Retry-After"] = "2"
    return response


@cache
def migrations() -> frozenset[tuple[str, str]]:
    """Those of this code, which do not change while it runs."""
    return frozenset(MigrationLoader(None).graph.nodes)


def is_queue_there() -> bool:
    if not apps.is_installed("procrastinate.contrib.django"):
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM procrastinate_jobs LIMIT 1")
    return True
