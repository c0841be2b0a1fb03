"""Prometheus figures: requests by route and status, jobs by state."""

from contextlib import suppress
from functools import cache

from django.apps import apps
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client import values as prometheus_values

REQUESTS = Counter("accrue_http_requests", "Responses sent.", ["method", "route", "status"])
SECONDS = Histogram(
    "accrue_http_request_seconds",
    "Time to answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    # An unknown path has no route: its text would let a caller make as many series as he likes.
    method = method if method in METHODS else "other"
    requests, times = series(method, route or "unknown", status)
    requests.inc()
    times.observe(seconds)


@cache
def series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, str(status)), SECONDS.labels(method, route)


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    registry: CollectorRegistry = REGISTRY
    if prometheus_values.ValueClass.__name__ == "MmapedValue":  # several server processes
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    figures = generate_latest(registry)
    # Without a database there are none of jobs; the others are the more wanted then.
    with suppress(Error):
        figures += generate_latest(jobs())
    return HttpResponse(figures, content_type=CONTENT_TYPE_LATEST)


def jobs() -> CollectorRegistry:
    registry = CollectorRegistry()
    gauge = Gauge("accrue_jobs", "Background jobs by state.", ["status"], registry=registry)
    if apps.is_installed("procrastinate.contrib.django"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1")
            for status, count in cursor.fetchall():
                gauge.labels(status).set(count)
    return registry
