"""The eligible list against the best query there is, charges against the shop alone, and a run."""

import multiprocessing
import os
import socket
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from benchmarks import load, server
from benchmarks.report import heading, ratio
from clubs import eligibility, fake_shop, runs
from clubs.models import Charge

SUBSCRIPTIONS = int(os.environ.get("BENCH_SUBSCRIPTIONS", "1000000"))
CHARGES_IN_A_RUN = 10_000
CLUBS = 1000
GATEWAY = {"x_gateway_secret": settings.GATEWAY_SECRET}
ROUNDS = 9

SEED = [
    "INSERT INTO club (name, store_sku) SELECT 'Club ' || n, 'SKU-' || n"
    f" FROM generate_series(1, {CLUBS}) n",
    # One in ten is inactive, one in ten closed.
    "INSERT INTO club_status_history (club_id, club_status_id, effect_date) SELECT id,"
    " CASE id % 10 WHEN 0 THEN 3 WHEN 1 THEN 2 ELSE 1 END, now() - interval '2 years' FROM club",
    "INSERT INTO subscription (id, club_id, customer_store_id) SELECT gen_random_uuid()::text,"
    f" (SELECT min(id) FROM club) + n % {CLUBS}, gen_random_uuid()::text"
    f" FROM generate_series(1, {SUBSCRIPTIONS}) n",
    "INSERT INTO subscription_status_history (subscription_id, status_id, effect_date)"
    " SELECT id, status, now() - interval '1 day' * days FROM subscription CROSS JOIN LATERAL"
    " (SELECT 1 AS status, 300 + random() * 300 AS days, id AS own"
    "  UNION ALL SELECT 3, 30 + random() * 200, id"
    # Half of them came back, some will come back, some left.
    "  UNION ALL SELECT CASE WHEN random() < 0.85 THEN 1 ELSE 2 END, random() * 50 - 18, id) life",
]

BEST = """
SELECT subscription_id FROM clubs_period
WHERE status_id = 1 AND starts_at <= %(at)s AND (ends_at IS NULL OR ends_at > %(at)s)
  AND club_id = ANY(%(clubs)s)
"""
USUAL = """
SELECT subscription_id FROM (
    SELECT DISTINCT ON (subscription_id) subscription_id, status_id
    FROM subscription_status_history WHERE effect_date <= %(at)s
    ORDER BY subscription_id, effect_date DESC, create_date DESC NULLS LAST, id DESC
) latest JOIN subscription ON subscription.id = subscription_id
WHERE status_id = 1 AND club_id = ANY(%(clubs)s)
"""


def run() -> None:
    heading(f"Clubs: {SUBSCRIPTIONS:,} subscriptions with {3 * SUBSCRIPTIONS:,} decisions")
    seed()
    with server.serving(settings.RSGI_APPLICATION) as port:
        list_eligible(port)
    with shop() as (url, shop_port):
        keys = {"ECOMMERCE_API_KEY": "bench-key", "ECOMMERCE_API_SECRET": "bench-secret"}
        with server.serving(settings.RSGI_APPLICATION, ECOMMERCE_URL=url, **keys) as port:
            charge_by_http(port, shop_port)
        for name, value in {"ECOMMERCE_URL": url, **keys}.items():
            setattr(settings, name, value)
        charge_everybody()


def seed() -> None:
    with connection.cursor() as cursor:
        for statement in SEED:
            started = time.perf_counter()
            cursor.execute(statement)
            print(f"{statement[:52]:58} {cursor.rowcount:>9,} rows {seconds(started)}")
        for table in ("subscription", "subscription_status_history", "clubs_period"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def list_eligible(port: int) -> None:
    heading("Clubs: the eligible list through HTTP (ours : execution of the best index-only query)")
    at = timezone.now()
    values = {"at": at, "clubs": eligibility.charging_clubs(at)}
    with connection.cursor() as cursor:
        found = []
        for statement in (BEST, USUAL):
            cursor.execute(statement, values)
            found.append(sorted(id for (id,) in cursor.fetchall()))
    assert found[0] == found[1]
    many, first, whole = len(found[0]), [], []

    def ours() -> float:
        begins, ends, size = download(port)
        first.append(begins)
        whole.append(ends)
        assert size > 30 * many
        return ends

    download(port)
    ratio(f"ms: {many:,} ids", ours, partial(execution, BEST, values), rounds=ROUNDS)
    ratio("ms: the same by DISTINCT ON, for comparison", partial(execution, USUAL, values),
          partial(execution, BEST, values), rounds=3)  # fmt: skip
    print(
        f"first byte after {statistics.median(first):.1f} ms [{min(first):.1f}…{max(first):.1f}],"
        f" all after {statistics.median(whole):.1f} ms"
    )


def execution(statement: str, values: dict[str, object]) -> float:
    """What the database itself says, ms."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", values)
        ((plan,),) = cursor.fetchall()
    return float(plan[0]["Execution Time"])


def download(port: int) -> tuple[float, float, int]:
    """ms to the first byte, ms to the last, and how many there were."""
    request = load.get("/api/v1/subscription/eligible/", Connection="close", **GATEWAY)
    with socket.create_connection(("127.0.0.1", port)) as link:
        started = time.perf_counter()
        link.sendall(request)
        chunk = link.recv(1 << 16)
        first, size = time.perf_counter() - started, 0
        assert chunk.startswith(b"HTTP/1.1 200"), chunk[:200]
        while chunk:
            size += len(chunk)
            chunk = link.recv(1 << 18)
        return first * 1000, (time.perf_counter() - started) * 1000, size


@contextmanager
def shop() -> Iterator[tuple[str, int]]:
    """In a process of its own: it would share ours with the load."""
    listener = fake_shop.listen()
    path = Path(settings.DATA_DIR) / f"bench-{uuid.uuid4().hex}.jsonl"
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=fake_shop.serve, args=(listener, path))
    process.start()
    port: int = listener.getsockname()[1]
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}", port
    finally:
        process.terminate()
        process.join()
        path.unlink(missing_ok=True)


def charge_by_http(port: int, shop_port: int) -> None:
    heading("Clubs: charges per second, 16 callers (ours : the shop alone, asked directly)")
    ids = uncharged(60_000)
    ratio(
        "POST …/charge/…", partial(rate, port, charging(ids)), partial(rate, shop_port, ordering())
    )
    print(f"{Charge.objects.filter(state='succeeded').count():,} charged, each once")


def uncharged(limit: int) -> list[str]:
    now = timezone.now()
    month = runs.month_of(now)
    return eligibility.uncharged(at=now, month=month, after="", limit=limit)


def charging(ids: list[str]) -> load.Request:
    waiting = iter(ids)

    def request(number: int) -> bytes:
        # Taken from what is left, so that no round meets what another has charged.
        path = f"/api/v1/subscription/{next(waiting)}/charge/{uuid.uuid4().hex}/"
        return load.post(path, b"", **GATEWAY)

    return request


def ordering() -> load.Request:
    body = b'{"customer_id": "c", "sku_id": "s"}'
    keys = {"x_api_key": "k", "x_api_secret": "s"}
    return lambda number: load.post(f"/order/{uuid.uuid4().hex}", body, **keys)


def rate(port: int, request: load.Request) -> float:
    result = load.run(port, request)
    assert set(result.statuses) == {201}, result.statuses
    print(f"  p50 {result.milliseconds(50):.1f} ms, p99 {result.milliseconds(99):.1f} ms")
    return result.rate


def charge_everybody() -> None:
    heading("Clubs: charge_eligible, without a limit to its rate")
    now = timezone.now()
    begun, _ = runs.start_run(as_of=now, rate=1e6, now=now)
    started = time.perf_counter()
    while begun.succeeded < CHARGES_IN_A_RUN and runs.advance(begun.pk):
        begun.refresh_from_db()
    took = time.perf_counter() - started
    print(
        f"{begun.succeeded:,} charged in {took:.1f} s: {begun.succeeded / took:,.0f} a second,"
        f" {took * 10_000 / max(1, begun.succeeded):.1f} s for 10,000; {begun.failed} failed"
    )


def seconds(started: float) -> str:
    return f"{time.perf_counter() - started:6.1f} s"
