"""The database goes away and comes back, under load: 503, nothing half written, no restart."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings

from common.tests.running import Service, wait_for
from config import embedded_postgres

HOLD = """
import sys
from config import embedded_postgres
embedded_postgres.start(sys.argv[1])
print("up", flush=True)
sys.stdin.read()
"""
JSON = b"Content-Type: application/json"


class Server:
    """A PostgreSQL of our own, which nobody but us starts again."""

    def __init__(self, directory):
        self.directory = directory
        self.holder = None

    def __enter__(self):
        command = [sys.executable, "-c", HOLD, str(self.directory)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.holder = subprocess.Popen(command, cwd=settings.BASE_DIR, **pipes)
        assert self.holder.stdout.readline() == b"up\n"
        return self

    def __exit__(self, *args):
        self.holder.communicate()
        wait_for(lambda: embedded_postgres.stop_if_unused(self.directory, timeout=1))

    def connect(self, name="accrue"):
        host = embedded_postgres.socket_directory(self.directory)
        return psycopg.connect(host=host, port=5432, user="postgres", dbname=name, autocommit=True)

    @property
    def url(self):
        host = quote(str(embedded_postgres.socket_directory(self.directory)), safe="")
        return f"postgresql://postgres@/accrue?host={host}"


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path / "db") as server, server.connect("postgres") as connection:
        connection.execute("CREATE DATABASE accrue")
    return server


@pytest.fixture
def service(tmp_path, server):
    return Service(tmp_path / "service", {"DATABASE_URL": server.url})


def post(service, key, authorization, amount=5):
    body = json.dumps({"user_id": "7", "amount": amount, "kind": "gift"}).encode()
    headers = [JSON, authorization, b"Idempotency-Key: " + key.encode()]
    length = b"Content-Length: %d" % len(body)
    return service.ask("POST", "/api/v1/wallet/postings/", *headers, length, body=body)


def test_postings_survive_restarts_whole_and_once(server, service):
    with server:
        made = service.manage("migrate", "-v0")
        assert made.returncode == 0, made.stderr
        made = service.manage("create_api_key", "--owner", "shop", "--scopes", "wallet.write")
        authorization = b"Authorization: Bearer " + made.stdout.strip().encode()
        process = service.start()
        service.wait_until_ready(process)
    try:
        statuses, unexpected, stop = Counter(), [], threading.Event()

        def keep_posting(worker):
            """Each posting again and again until it is answered for good, as a client would."""
            done = 0
            while not stop.is_set():
                answer = post(service, f"{worker}-{done}", authorization)
                statuses[answer.status] += 1
                if answer.status in (200, 201):
                    done += 1
                elif answer.status == 503 and answer.headers.get("retry-after"):
                    time.sleep(0.02)
                else:
                    unexpected.append(answer)
            return done

        with ThreadPoolExecutor(50) as pool:
            posting = [pool.submit(keep_posting, number) for number in range(50)]
            away(service)
            for _ in range(2):
                with server:
                    before = statuses[201]
                    wait_for(lambda before=before: statuses[201] > before + 100)
                away(service)
            with server:
                before = statuses[201]
                wait_for(lambda before=before: statuses[201] > before + 100)
                stop.set()
                done = sum(each.result() for each in posting)
                assert not unexpected, unexpected[0]
                assert statuses[503] > 0
                # All that was there has recovered: not one more of them fails.
                checks = [service.ask("GET", "/health/ready/").status for _ in range(40)]
                assert set(checks) == {200}
                with server.connect() as connection:
                    (entries,) = connection.execute("SELECT count(*) FROM wallet_entry").fetchone()
                    (balance,) = connection.execute("SELECT balance FROM wallet_account").fetchone()
                assert (entries, balance) == (done, 5 * done)
                assert service.manage("verify_wallet").returncode == 0
                wait_for(lambda: worker_runs(server))
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def away(service):
    wait_for(lambda: service.ask("GET", "/health/ready/").status == 503)
    answer = service.ask("GET", "/health/ready/")
    assert int(answer.headers["retry-after"]) > 0
    assert json.loads(answer.body)["database"] is False
    assert service.ask("GET", "/health/live/").status == 204
    assert service.ask("GET", "/metrics/").status == 200
    answer = service.ask("GET", "/api/v1/wallet/balance/", b"x-zmrn-user-id: 7")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert json.loads(answer.body)["type"] == "urn:problem:unavailable"
    assert b"socket" not in answer.body


def worker_runs(server):
    lately = "last_heartbeat > now() - interval '12 s'"
    with server.connect() as connection:
        workers = connection.execute(f"SELECT count(*) FROM procrastinate_workers WHERE {lately}")
        # One for all queues that have no threads of their own.
        return workers.fetchone() == (1 + len(settings.QUEUES_APART),)
