"""Services that post, and what they post."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from common.models import ApiKey
from conftest import ALICE
from wallet.tests.remote import WalletService, free_port


def client_with_key(owner: str, *scopes: str) -> APIClient:
    _, secret = ApiKey.issue(owner=owner, scopes=list(scopes))
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def service_of() -> Callable[..., APIClient]:
    """A client with a key of its own: `service_of("shop", "wallet.write")`."""
    return client_with_key


@pytest.fixture
def shop(db: None) -> APIClient:
    return client_with_key("shop", "wallet.write")


@pytest.fixture
def post(shop: APIClient) -> Callable[..., Any]:
    """The shop posts: `post("key", amount=100)`; Alice gets it unless another is named."""

    def post(key: str, client: APIClient = shop, **body: Any) -> Any:
        body = {"user_id": ALICE, "amount": 100, "kind": "quiz_reward", **body}
        headers = {"Idempotency-Key": key}
        return client.post("/api/v1/wallet/postings/", body, format="json", headers=headers)

    return post


@pytest.fixture
def api_client() -> APIClient:
    """Nobody in particular."""
    return APIClient()


@pytest.fixture(scope="session")
def wallet_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WalletService]:
    """One for all tests, which share nothing in it: each has users of its own."""
    service = WalletService(tmp_path_factory.mktemp("wallet"), free_port())
    with service.running():
        made = service.manage(
            "create_api_key", "--owner", "accrue", "--scopes", "wallet.write,wallet.read"
        )
        service.api_key = made.stdout.removesuffix("\n")
        yield service
