"""Services that report events."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from common.models import ApiKey
from incentives.catalogue import catalogue

EVENTS = "/api/v1/incentives/events/"


@pytest.fixture(autouse=True)
def _forget_catalogue() -> None:
    catalogue.forget()


def client_with_key(owner: str, *scopes: str) -> APIClient:
    _, secret = ApiKey.issue(owner=owner, scopes=list(scopes))
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def service_of() -> Callable[..., APIClient]:
    return client_with_key


@pytest.fixture
def app(db: None) -> APIClient:
    return client_with_key("tests", "incentives.write")


@pytest.fixture
def report(app: APIClient) -> Callable[..., Any]:
    """The app reports: `report({...})` or `report([{...}, {...}])`."""

    def report(body: Any, client: APIClient = app) -> Any:
        return client.post(EVENTS, body, format="json")

    return report
