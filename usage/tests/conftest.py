"""Three customers, a team that reports what they use, and the brief's five records."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from common.models import ApiKey
from usage.models import Customer

URL = "/api/v1/usage/"
ALICE, BOB, TAYLOR = 123, 456, 789
SAMPLE = [
    (ALICE, "Database Hosting", "58", "0.05"),
    (ALICE, "Linux Instance", "42", "0.15"),
    (ALICE, "CDN Storage", "15", "0.02"),
    (BOB, "Load Balancer", "27", "0.03"),
    (BOB, "Domain Name Registration", "1", "14.99"),
]


@pytest.fixture
def customers(db: None) -> list[Customer]:
    return Customer.objects.bulk_create(
        Customer(id=id, name=name)
        for id, name in [(ALICE, "Alice"), (BOB, "Bob"), (TAYLOR, "Taylor")]
    )


@pytest.fixture
def service_of(db: None) -> Callable[..., APIClient]:
    """A client with a key of its own: `service_of("hosting", "usage.write")`."""

    def make(owner: str, *scopes: str) -> APIClient:
        _, secret = ApiKey.issue(owner=owner, scopes=list(scopes))
        return APIClient(headers={"Authorization": f"Bearer {secret}"})

    return make


@pytest.fixture
def team(customers: Any, service_of: Callable[..., APIClient]) -> APIClient:
    return service_of("hosting", "usage.write")


@pytest.fixture
def reader(service_of: Callable[..., APIClient]) -> APIClient:
    return service_of("accounting", "usage.read")


@pytest.fixture
def bills(reader: APIClient) -> Callable[..., Any]:
    """The bills of a customer: `bills(ALICE, period="2026-11")`."""

    def bills(customer: int, **query: str) -> Any:
        return reader.get(f"{URL}bills/", {"customerId": customer, **query}).json()["results"]

    return bills


@pytest.fixture
def record(team: APIClient) -> Callable[..., Any]:
    """The team records: `record("key", unitsConsumed=2)`; Alice used it unless another is named."""

    def record(key: str | None, client: APIClient = team, **body: Any) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return client.post(URL, usage(**body), format="json", headers=headers)

    return record


@pytest.fixture
def send(team: APIClient) -> Callable[..., Any]:
    """A batch: `send(usage(idempotencyKey="k1"), …)`."""

    def send(*records: Any, client: APIClient = team) -> Any:
        return client.post(URL, {"records": records}, format="json")

    return send


def usage(**body: Any) -> dict[str, Any]:
    return {
        "customerId": ALICE,
        "service": "Database Hosting",
        "unitsConsumed": 58,
        "pricePerUnit": "0.05",
        **body,
    }


def next_id_is(id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('usage_record_id_seq', %s, false)", [id])


def statements(call: Callable[[], Any]) -> int:
    """How many it takes, but for the look-up of the API key, which is remembered for a moment."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return sum("common_apikey" not in query["sql"] for query in captured.captured_queries)
