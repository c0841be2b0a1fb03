import os
import subprocess
import sys
import uuid

import pytest

from client_tests.samples import hosting
from usage_client import InvalidRecord, Usage, UsageClient
from usage_client.keys import derived
from usage_client.testing import UsageServer

# Written down, because records are in the books under it: no release may change it.
OF_ORDER_4711 = "identity-5f44503043ff53cb12de99c098ff49f468a498599d3083e494aedc1acfb0e796"


def test_an_identity_is_the_same_key_in_every_process() -> None:
    code = "from usage_client.keys import derived; print(derived('order 4711, line 2'))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {derived("order 4711, line 2")}


def test_an_identity_is_the_same_key_in_every_release() -> None:
    assert derived("order 4711, line 2") == OF_ORDER_4711


def test_an_identity_is_the_same_however_its_accents_are_typed() -> None:
    assert derived("Caf\u00e9") == derived("Cafe\u0301")
    assert derived("cafe") != derived("Cafe")
    assert derived("a") != derived("a ")


@pytest.mark.parametrize("value", ["", "  ", 4711, None.__class__, b"x", "\ud800"])
def test_an_identity_is_text_that_says_something(value: object) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(identity=value))


@pytest.mark.parametrize("value", ["", "x" * 201, "a b", "a\n", "é", "\0", 5, b"x"])
def test_a_key_is_visible_ascii(value: object) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(idempotency_key=value))


def test_a_key_and_an_identity_are_one_too_many() -> None:
    with pytest.raises(InvalidRecord, match="not both"):
        Usage(**hosting(idempotency_key="k", identity="i"))


def test_without_either_each_call_is_a_record_of_its_own() -> None:
    keys = [Usage(**hosting()).idempotency_key for _ in range(1000)]
    assert len(set(keys)) == 1000
    assert [key[:8] for key in keys] == sorted(key[:8] for key in keys)
    assert {(uuid.UUID(key).version, uuid.UUID(key).variant) for key in keys} == {
        (7, uuid.RFC_4122)
    }


def test_a_restarted_caller_bills_nothing_twice(server: UsageServer) -> None:
    for replayed in (False, True, True):
        with UsageClient(server.url, server.api_key) as client:
            assert client.record(**hosting(identity="order 1")).replayed is replayed
    assert len(server.records) == 1


def test_other_numbers_under_one_identity_are_a_conflict_and_no_second_record() -> None:
    one, other = Usage(**hosting(identity="x")), Usage(**hosting(identity="x", customer_id=456))
    assert one.idempotency_key == other.idempotency_key
