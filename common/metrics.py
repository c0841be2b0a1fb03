"""Prometheus figures: requests by route and status, jobs by state."""

from django.apps import apps
from django.db import connection
from django.http import HttpRequest, HttpResponse
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
    REQUESTS.labels(method, route or "unknown", str(status)).inc()
    SECONDS.labels(method, route or "unknown").observe(seconds)


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def metrics(request: HttpRequest) -> HttpResponse:
    registry: CollectorRegistry = REGISTRY
    if prometheus_values.ValueClass.__name__ == "MmapedValue":  # several server processes
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return HttpResponse(
        generate_latest(registry) + generate_latest(jobs()), content_type=CONTENT_TYPE_LATEST
    )


def jobs() -> CollectorRegistry:
    registry = CollectorRegistry()
    gauge = Gauge("accrue_jobs", "Background jobs by state.", ["status"], registry=registry)
    if apps.is_installed("procrastinate.contrib.django"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1")
            for status, count in cursor.fetchall():
                gauge.labels(status).set(count)
    return registry
