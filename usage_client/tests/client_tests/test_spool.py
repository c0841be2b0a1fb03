"""Accepted records on disk: through kill -9, outages, and two processes on one file."""

import os
import signal
import sqlite3
import stat
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from client_tests.samples import hosting, run, start
from usage_client import (
    BufferFull,
    KeyConflict,
    Misconfigured,
    NotFlushed,
    RecordsRefused,
    Spool,
    SpoolFailed,
    UnknownCustomer,
    Usage,
    UsageClient,
)
from usage_client.testing import UsageServer, moods


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.spool"


def waiting(path: Path) -> int:
    return Spool(path).status().waiting


def test_a_record_is_on_the_disk_before_it_is_accepted(server: UsageServer, path: Path) -> None:
    client = server.client(deadline=0.2)
    server.stop()
    buffer = client.buffered(spool=path)
    buffer.record(**hosting(idempotency_key="k"))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT key FROM record").fetchall() == [("k",)]
    other.close()
    buffer.close(timeout=0)
    assert waiting(path) == 1
    server.start()
    with server.client().buffered(spool=path) as again:
        assert again.flush(10).created == 1
    assert waiting(path) == 0
    assert len(server.records) == 1


def test_the_file_is_for_its_user_alone_and_safe_against_power_cuts(
    client: UsageClient, path: Path
) -> None:
    spool = Spool(path)
    with client.buffered(spool=spool):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with spool._reading() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_leaving_with_an_outage_loses_nothing_and_raises_nothing(
    server: UsageServer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = server.client(deadline=0.2)
    server.always(moods.lose_answer())
    with client.buffered(spool=path, exit_timeout=0.5, linger=0) as buffer:
        buffer.record_many(hosting() for _ in range(10))
        with pytest.raises(NotFlushed, match="stay in the spool"):
            buffer.flush(0.3)
    assert "10 records stay in the spool" in caplog.text
    server.well()
    with server.client().buffered(spool=path) as again:
        again.flush(10)
    assert waiting(path) == 0
    assert len(server.records) == 10


def test_kill_9_loses_nothing_that_was_accepted_and_doubles_nothing(
    server: UsageServer, path: Path
) -> None:
    code = """
buffer = client.buffered(spool=sys.argv[2], linger=0.01, batch_size=20)
number = 0
while True:
    buffer.record(**HOSTING, identity=f"{os.getpid()} {number}")
    print(number, flush=True)
    number += 1
"""
    server.always(moods.chaos(5, 0.4))
    accepted = 0
    for after in (30, 75, 120):
        process = start(server, code, str(path))
        assert process.stdout
        for _ in range(after):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        # What it had said before it died was accepted; the last may have been, unsaid.
        accepted += after + len(process.stdout.read().split())
        process.communicate()
    server.well()
    with server.client().buffered(spool=path) as buffer:
        buffer.flush(30)
    assert waiting(path) == 0
    assert accepted <= len(server.records) <= accepted + 3
    keys = {each.usage.idempotency_key for each in server.records}
    assert len(keys) == len(server.records)


def test_two_processes_share_a_file_and_each_sends_its_own(server: UsageServer, path: Path) -> None:
    code = """
with client.buffered(spool=sys.argv[2], linger=0.01) as buffer:
    pending = [buffer.record(**HOSTING) for _ in range(100)]
    buffer.flush(30)
    assert all(each.result(0).status == "created" for each in pending)
    print(*buffer.tally)
"""
    processes = [start(server, code, str(path)) for _ in range(3)]
    for process in processes:
        out, errors = process.communicate(timeout=60)
        assert out.split() == ["100", "0", "0"], errors
    assert len(server.records) == 300
    assert waiting(path) == 0


def test_the_records_of_a_killed_process_are_taken_over_at_once(
    server: UsageServer, path: Path
) -> None:
    code = """
buffer = client.buffered(spool=sys.argv[2], linger=60)
buffer.record(**HOSTING)
print("accepted", flush=True)
sys.stdin.read()
"""
    process = start(server, code, str(path))
    assert process.stdout
    assert process.stdout.readline() == "accepted\n"
    with server.client().buffered(spool=path) as living:
        # Its owner lives: it is not ours.
        assert len(living) == 0
    process.kill()
    process.communicate()
    with server.client().buffered(spool=path) as heir:
        assert heir.flush(10).created == 1


def test_the_records_of_a_process_that_says_nothing_any_more_are_taken_over(
    server: UsageServer, path: Path
) -> None:
    elsewhere = Spool(path)
    elsewhere.open(server.url)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE owner SET host = 'another', lives_until = ?", [time.time() + 99])
    client = server.client()
    elsewhere._lives_until = time.time() + 999
    elsewhere.add([Usage(**hosting())])
    buffer = client.buffered(spool=path)
    assert len(buffer) == 0
    connection.execute("UPDATE owner SET lives_until = 1 WHERE host = 'another'")
    connection.commit()
    connection.close()
    buffer.close()
    with client.buffered(spool=path) as heir:
        assert heir.flush(10).created == 1
    elsewhere.leave()


def test_who_seemed_dead_learns_what_became_of_its_records(server: UsageServer, path: Path) -> None:
    client = server.client()
    slow = client.buffered(spool=path, linger=60)
    good, bad = slow.record(**hosting()), slow.record(**hosting(customer_id=999))
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM owner")
    connection.commit()
    connection.close()
    with pytest.raises(RecordsRefused), client.buffered(spool=path):
        pass
    slow._round()
    slow._round()
    assert good.result(1).ok
    with pytest.raises(UnknownCustomer):
        bad.result(1)
    assert slow.close() == (0, 1, 1)


def test_what_is_refused_is_set_aside_and_does_not_hold_up_the_rest(
    server: UsageServer, client: UsageClient, path: Path
) -> None:
    buffer = client.buffered(spool=path, linger=0)
    buffer.record(**hosting(customer_id=999, identity="early"))
    buffer.record_many(hosting() for _ in range(20))
    with pytest.raises(RecordsRefused, match="no such customer"):
        buffer.close()
    assert len(server.records) == 20
    spool = Spool(path)
    (refused,) = spool.refused()
    assert refused.usage.customer_id == 999
    assert refused.status == "unknown_customer"
    assert (spool.status().waiting, spool.status().refused) == (0, 1)
    before = len(server.requests)
    with client.buffered(spool=path, linger=0):
        pass
    assert len(server.requests) == before
    server.customers[999] = "Zoe"
    assert spool.retry_refused() == 1
    with client.buffered(spool=path, linger=0) as again:
        assert again.flush(10).created == 1
    assert spool.status() == (0, 0, None, client.base_url)


def test_what_goes_to_a_wrong_address_waits_and_is_not_set_aside(
    server: UsageServer, path: Path
) -> None:
    server.always(moods.refuse(404, code="not-found"))
    buffer = server.client().buffered(spool=path, linger=0)
    pending = buffer.record(**hosting())
    with pytest.raises(NotFlushed, match="base_url"):
        buffer.flush(10)
    assert isinstance(buffer.trouble, Misconfigured)
    assert Spool(path).status()[:2] == (1, 0)
    server.well()
    assert buffer.flush(10).created == 1
    assert pending.result(1).ok
    buffer.close()


def test_a_refused_record_that_comes_again_is_sent_again(
    server: UsageServer, client: UsageClient, path: Path
) -> None:
    with client.buffered(spool=path, linger=0) as buffer:
        with pytest.raises(UnknownCustomer):
            buffer.record(**hosting(customer_id=999, identity="x")).result(5)
        assert buffer.record(**hosting(customer_id=123, identity="x")).result(5).ok
    assert Spool(path).discard_refused() == 0


def test_the_same_key_waits_once_and_with_other_values_is_a_conflict(
    server: UsageServer, path: Path
) -> None:
    client = server.client(deadline=0.2)
    server.stop()
    buffer = client.buffered(spool=path, linger=0)
    first, second = (buffer.record(**hosting(identity="x")) for _ in range(2))
    with pytest.raises(KeyConflict) as caught:
        buffer.record(**hosting(identity="x", units_consumed=59))
    assert caught.value.idempotency_key == first.idempotency_key
    assert caught.value.outcome_known
    server.start()
    assert buffer.flush(10).created == 1
    assert first.result(1) == second.result(1)
    buffer.close()


def test_a_spool_is_for_one_service(server: UsageServer, client: UsageClient, path: Path) -> None:
    client.buffered(spool=path).close()
    with UsageServer() as staging, pytest.raises(Misconfigured, match="not for"):
        staging.client().buffered(spool=path)


def test_a_spool_object_is_of_one_buffer_at_a_time(client: UsageClient, path: Path) -> None:
    spool = Spool(path)
    with client.buffered(spool=spool):
        with pytest.raises(Misconfigured, match="another buffer"):
            client.buffered(spool=spool)
        client.buffered(spool=path).close()
    client.buffered(spool=spool).close()


def test_a_spool_that_is_none_says_so(client: UsageClient, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    with pytest.raises(SpoolFailed):
        client.buffered(spool=broken)
    with pytest.raises(SpoolFailed):
        client.buffered(spool=tmp_path / "nowhere" / "x")


def test_a_disk_that_is_full_accepts_nothing_and_says_so(
    server: UsageServer, client: UsageClient, path: Path
) -> None:
    spool = Spool(path)
    with client.buffered(spool=spool, linger=60) as buffer:
        buffer.record(**hosting())
        with spool._reading() as connection:
            connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(SpoolFailed, match="full"):
            buffer.record_many(hosting(service="x" * 200) for _ in range(200))
        accepted = len(buffer)
        with spool._reading() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
    assert len(server.records) == accepted


def test_a_spool_has_its_bounds(server: UsageServer, path: Path) -> None:
    client = server.client(deadline=0.1)
    server.stop()
    buffer = client.buffered(spool=Spool(path, capacity=3), patience=0.1)
    buffer.record_many(hosting() for _ in range(3))
    with pytest.raises(BufferFull):
        buffer.record(**hosting())
    buffer.close(timeout=0)


def test_threads_share_a_spool(server: UsageServer, client: UsageClient, path: Path) -> None:
    with client.buffered(spool=path, linger=0.01, batch_size=50) as buffer:

        def work() -> None:
            for _ in range(30):
                buffer.record(**hosting())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.total(123) == 240 * Decimal("2.90")


def test_a_child_of_a_process_with_a_spool_is_an_owner_of_its_own(
    server: UsageServer, path: Path
) -> None:
    done = run(
        server,
        """
buffer = client.buffered(spool=sys.argv[2], linger=0.01)
for _ in range(20):
    buffer.record(**HOSTING)
child = os.fork()
for _ in range(20):
    buffer.record(**HOSTING)
tally = buffer.close()
if not child:
    os._exit(0 if tally == (20, 0, 0) else 1)
assert os.waitpid(child, 0)[1] == 0
assert tally == (40, 0, 0), tally
""",
        str(path),
    )
    assert done.returncode == 0, done.stderr
    assert len(server.records) == 60
    assert waiting(path) == 0


def test_months_pass_and_the_record_is_of_its_own(server: UsageServer, path: Path) -> None:
    client = server.client(deadline=0.1)
    server.stop()
    buffer = client.buffered(spool=path)
    made_at = time.time()
    buffer.record(**hosting())
    buffer.close(timeout=0)
    server.start()
    with server.client().buffered(spool=path):
        pass
    assert abs(server.records[0].recorded_at.timestamp() - made_at) < 1
    assert server.records[0].usage.recorded_at is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_dead_owner_of_our_own_process_id_is_dead(server: UsageServer, path: Path) -> None:
    # A container that is started again has the same host's name and process ids.
    client = server.client()
    client.buffered(spool=path).close()
    connection = sqlite3.connect(path)
    spool = Spool(path)
    spool.open(client.base_url)
    connection.execute("UPDATE owner SET name = 'former'")
    connection.execute("INSERT INTO record (key, line, accepted_at, owner) VALUES (?, ?, 0, ?)",
                       ["k", b'{"customerId":123,"service":"s","unitsConsumed":"1",'
                        b'"pricePerUnit":"1","idempotencyKey":"k"}', "former"])  # fmt: skip
    connection.commit()
    connection.close()
    spool.leave()
    with client.buffered(spool=path) as buffer:
        assert buffer.flush(10).created == 1
