"""The fake itself, and the fixture that other projects get. tests/ holds it against the service."""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from client_tests.samples import hosting
from usage_client import UsageClient
from usage_client.pytest_plugin import usage_server as usage_server_fixture
from usage_client.testing import Proxy, UsageServer, moods

usage_server = usage_server_fixture


def test_other_projects_get_a_fixture(usage_server: UsageServer) -> None:
    usage_server.client().record(**hosting())
    assert usage_server.total(123) == Decimal("2.90")


def test_usage_for_a_closed_month_goes_to_the_current_one() -> None:
    now = datetime(2026, 11, 3, tzinfo=timezone.utc)
    with UsageServer(now=lambda: now) as server:
        client = server.client()
        old = hosting(recorded_at="2026-10-31T23:59:59.999999Z")
        assert client.record(**old, idempotency_key="1").bill.period == "2026-10"
        server.close_month("2026-10")
        late = client.record(**old, idempotency_key="2")
        assert (late.bill.period, late.late_for) == ("2026-11", "2026-10")
        assert client.record(**old, idempotency_key="1").bill.period == "2026-10"
        november, october = client.bills(123)
        assert (november.status, october.status) == ("open", "closed")
        assert server.total(123, "2026-10") == Decimal("2.90")


def test_keys_are_per_team(server: UsageServer) -> None:
    server.issue_key("other", "other team", "usage.write")
    server.client().record(**hosting(idempotency_key="k"))
    other = UsageClient(server.url, "other", deadline=5)
    assert not other.record(**hosting(idempotency_key="k")).replayed
    other.close()


@pytest.fixture
def proxy(server: UsageServer) -> Iterator[Proxy]:
    with Proxy(server.url, server.api_key) as proxy:
        yield proxy


def test_a_proxy_has_moods_of_its_own(server: UsageServer, proxy: Proxy) -> None:
    proxy.then(moods.lose_answer(), moods.duplicate())
    found = proxy.client().record(**hosting())
    assert (found.attempts, found.replayed) == (2, True)
    assert len(server.requests) == 3
    assert len(server.records) == 1


def test_a_proxy_before_nothing_says_502(server: UsageServer, proxy: Proxy) -> None:
    client = proxy.client(deadline=0.2)
    server.stop()
    with pytest.raises(Exception, match="502"):
        client.record(**hosting())


def test_chaos_is_the_same_again_with_the_same_seed(server: UsageServer) -> None:
    def requests_of(seed: int) -> int:
        client = server.client()
        client._delivery.sleep = lambda seconds: None
        server.requests.clear()
        server.always(moods.chaos(seed, 0.5))
        for _ in range(20):
            client.record(**hosting())
        return len(server.requests)

    assert requests_of(7) == requests_of(7)


def test_what_is_kept_shows_who_sent_it(server: UsageServer, client: UsageClient) -> None:
    client.record(**hosting(identity="x"))
    (kept,) = server.records
    assert (kept.owner, kept.amount, kept.late_for) == ("test", Decimal("2.90"), None)
    assert dataclasses.asdict(kept)["usage"]["service"] == "Database Hosting"
