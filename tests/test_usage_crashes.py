"""kill -9 of the server between any two steps of a record: a retry finds it once, and whole.

The steps are made visible in the database: a trigger waits for a lock that the test holds while it
wants a process to stand still there.
"""

import sys
from contextlib import suppress
from threading import Thread

import psycopg
import pytest
import requests

from common.tests.running import Service, wait_for
from tests.test_crashes import HALT, Database, expect_success, halt_at, kill
from usage.tests.conftest import ALICE, usage

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.django_db(transaction=True),
]

HALTS = f"""
{HALT}
{halt_at("usage_foldedbill")}
{halt_at("usage_record")}
CREATE CONSTRAINT TRIGGER halt_commit AFTER INSERT ON usage_record
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION halt('commit');
"""
# A bill is made with its first record.
POINTS = ["usage_foldedbill", "usage_record", "commit", "commit"]


def test_a_record_whose_server_was_killed_is_billed_once(tmp_path):
    with Database("usage_crashes").existing() as database:
        web = Service(tmp_path / "web", {"DATABASE_URL": database.url, "WEB_WORKERS": "1"})
        expect_success(web.manage("migrate", "--verbosity=0"))
        made = web.manage("create_api_key", "--owner", "hosting", "--scopes", "usage.write")
        secret = expect_success(made).strip()
        with database.connect() as own:
            own.execute(f"INSERT INTO customer (id, name) VALUES ({ALICE}, 'Alice')")
            own.execute(HALTS)

        def post(body, key=None):
            headers = {"Authorization": f"Bearer {secret}"}
            headers |= {"Idempotency-Key": key} if key else {}
            url = f"http://127.0.0.1:{web.port}/api/v1/usage/"
            return requests.post(url, json=body, headers=headers, timeout=60)

        def lost(*arguments):
            with suppress(requests.RequestException):
                post(*arguments)

        process = web.start("web")
        billed = 0
        try:
            web.wait_until_ready(process)
            for number, point in enumerate(POINTS):
                key, is_batch = f"{point}-{number}", number % 2 == 0
                batch = {"records": [usage(idempotencyKey=f"{key}-{n}") for n in range(3)]}
                arguments = (batch,) if is_batch else (usage(), key)
                with database.halted(point):
                    asking = Thread(target=lost, args=arguments)
                    asking.start()
                    database.wait_until_somebody_stands_still()
                    kill(process)
                asking.join()
                process = web.start("web")
                web.wait_until_ready(process)
                answer, again = post(*arguments), post(*arguments)
                assert answer.status_code in (200, 201), answer.text
                assert again.status_code == 200
                billed += 3 if is_batch else 1
                if is_batch:
                    assert {r["status"] for r in again.json()["results"]} == {"replayed"}
                else:
                    assert again.json()["id"] == answer.json()["id"]
                with database.connect() as own:
                    count = own.execute("SELECT count(*) FROM usage_record").fetchone()
                assert count == (billed,), point
        finally:
            kill(process)
        expect_success(web.manage("verify_bills"))


def test_a_writer_that_never_answers_does_not_hold_a_closing_for_ever(tmp_path):
    """A connection that was killed gives the gate back."""
    with Database("usage_closing").existing() as database:
        service = Service(tmp_path / "service", {"DATABASE_URL": database.url})
        expect_success(service.manage("migrate", "--verbosity=0"))
        writer = psycopg.connect(database.url)
        writer.execute("INSERT INTO customer (id, name) VALUES (1, 'A')")
        writer.execute(
            "INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit,"
            " recorded_at) VALUES (1, 's', 1, 1, '2026-05-05')"
        )
        pid = writer.info.backend_pid
        answers = []
        closing = Thread(
            target=lambda: answers.append(service.manage("close_bills", "--period", "2026-05"))
        )
        closing.start()
        with database.connect() as own:
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            wait_for(lambda: own.execute(waiting).fetchone() == (1,))
            own.execute("SELECT pg_terminate_backend(%s)", [pid])
        closing.join()
        writer.close()
        assert "Closed 2026-05: 0 bills" in expect_success(answers[0])
