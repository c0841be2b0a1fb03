"""The fixture `usage_server`, in every project that has both pytest and this package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from usage_client.testing import UsageServer


@pytest.fixture
def usage_server() -> Iterator[UsageServer]:
    """A fake of the usage service, with nothing recorded: `usage_server.client()`."""
    with UsageServer() as server:
        yield server
