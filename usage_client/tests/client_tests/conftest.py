"""What the client's tests stand on: the fake service, and clients that do not like to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from usage_client import UsageClient
from usage_client.testing import UsageServer


@pytest.fixture
def server() -> Iterator[UsageServer]:
    with UsageServer() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    """How long the impatient clients were to wait."""
    return []


@pytest.fixture
def impatient(server: UsageServer, pauses: list[float]) -> Callable[..., UsageClient]:
    """A client of the fake that only notes its pauses."""

    def make(**options: Any) -> UsageClient:
        client = server.client(**options)
        client._delivery.sleep = pauses.append
        return client

    return make


@pytest.fixture
def client(impatient: Callable[..., UsageClient]) -> UsageClient:
    return impatient()
