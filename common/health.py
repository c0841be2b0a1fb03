"""Whether the process lives, and whether it can work."""

import logging

from django.apps import apps
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

logger = logging.getLogger(__name__)


def live(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def ready(request: HttpRequest) -> HttpResponse:
    """200 when the database answers, its schema is the code's and the queue can be written."""
    checks = {"database": False, "migrations": False, "queue": False}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["database"] = True
        executor = MigrationExecutor(connection)
        checks["migrations"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        checks["queue"] = is_queue_there()
    except DatabaseError as error:
        logger.warning("Not ready: %s", type(error.__cause__ or error).__name__)
    is_ready = all(checks.values())
    response = JsonResponse(
        {"status": "ready" if is_ready else "not ready", **checks}, status=200 if is_ready else 503
    )
    if not is_ready:
        response["Retry-After"] = "2"
    return response


def is_queue_there() -> bool:
    if not apps.is_installed("procrastinate.contrib.django"):
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM procrastinate_jobs LIMIT 1")
    return True
