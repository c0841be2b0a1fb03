"""For the tests of whoever uses the client: the service's behaviour without the service, and
everything that goes wrong on the way to it.

    with UsageServer() as server:
        client = server.client()
        server.then(moods.lose_answer(), moods.unavailable(retry_after=1))
        ...
        assert server.total(123) == Decimal("2.90")
"""

from usage_client.testing import moods
from usage_client.testing.proxy import Proxy
from usage_client.testing.server import UsageServer

__all__ = ["Proxy", "UsageServer", "moods"]
