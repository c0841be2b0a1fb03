"""kill -9 between any two steps of a reward, with the wallet here and elsewhere: once, and whole.

The steps are made visible in the database: a trigger on each table waits for a lock that the test
holds while it wants a process to stand still there.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import requests
from django.db import connection

from common.tests.running import Service, wait_for
from quizzes.tests import document
from quizzes.tests.factories import Json, complete, fill_in, numbered, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

COINS = 300

HALT = """
CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext(TG_ARGV[0]));
    RETURN NEW;
END $$;
"""


def halt_at(table: str) -> str:
    return (
        f"CREATE TRIGGER halt BEFORE INSERT OR UPDATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION halt('{table}');"
    )


LEARNING = ("quizzes_attempt", "quizzes_questionreward", "quizzes_participant",
            "quizzes_scorecount", "quizzes_questiontally")  # fmt: skip
PAYING = ("wallet_account", "wallet_entry")
HALTS_OF_LEARNING = f"""
{HALT}
{"".join(halt_at(table) for table in LEARNING)}
CREATE TRIGGER halt_standing BEFORE UPDATE OF standing ON quizzes_attempt
    FOR EACH ROW EXECUTE FUNCTION halt('standing');
CREATE CONSTRAINT TRIGGER halt_commit AFTER UPDATE ON quizzes_attempt
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION halt('commit');
"""
HALTS_OF_PAYING = "".join(halt_at(table) for table in PAYING)
HALTS_OF_JOBS = """
CREATE TRIGGER halt_enqueue BEFORE INSERT ON procrastinate_jobs FOR EACH ROW
    WHEN (NEW.task_name = 'wallet.deliver') EXECUTE FUNCTION halt('enqueue');
CREATE TRIGGER halt_fetch BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW
    WHEN (NEW.task_name = 'wallet.deliver' AND NEW.status = 'doing')
    EXECUTE FUNCTION halt('fetch');
CREATE TRIGGER halt_finish BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW
    WHEN (NEW.task_name = 'wallet.deliver' AND NEW.status = 'succeeded')
    EXECUTE FUNCTION halt('finish');
"""


@dataclass
class Database:
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        names = ("host", "port", "user", "password")
        known = connection.get_connection_params()
        return {name: known[name] for name in names if known.get(name)}

    @property
    def url(self) -> str:
        found = {name: quote(str(value), safe="") for name, value in self.parameters.items()}
        secret = f":{found['password']}" if "password" in found else ""
        where = f"{found.get('user', '')}{secret}@/{self.name}?host={found['host']}"
        return f"postgresql://{where}&port={found.get('port', 5432)}"

    def connect(self, name: str = "") -> "psycopg.Connection[Any]":
        return psycopg.connect(**self.parameters, dbname=name or self.name, autocommit=True)

    @contextmanager
    def existing(self) -> Iterator["Database"]:
        drop = f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)"
        with self.connect("postgres") as own:
            own.execute(drop)
            own.execute(f"CREATE DATABASE {self.name}")
            yield self
            own.execute(drop)

    @contextmanager
    def halted(self, point: str) -> Iterator["Database"]:
        """Whoever comes to this point stands still until the block is left."""
        with self.connect() as own:
            own.execute("SELECT pg_advisory_lock(hashtext(%s))", [point])
            yield self

    def who_stands_still(self) -> list[int]:
        """The processes of PostgreSQL that wait at a point."""
        waiting = """
            SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE locktype = 'advisory' AND NOT granted AND datname = %s
        """
        with self.connect() as own:
            return [pid for (pid,) in own.execute(waiting, [self.name])]

    def wait_until_somebody_stands_still(self) -> None:
        wait_for(lambda: bool(self.who_stands_still()))

    def wait_until_gone(self, pids: list[int]) -> None:
        """PostgreSQL ends what it was told to do before it notices that nobody listens."""
        left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s)"
        with self.connect() as own:
            wait_for(lambda: own.execute(left, [pids]).fetchone() == (0,))


class Learner:
    """Enough of a client for quizzes/tests/factories.py, over HTTP."""

    def __init__(self, service: Service, user: int) -> None:
        self.base, self.user = f"http://127.0.0.1:{service.port}", str(user)

    def call(self, method: str, path: str, headers: Json | None = None, **options: Any) -> Any:
        own = {"x-zmrn-user-id": self.user, **(headers or {})}
        url = self.base + path
        return requests.request(method, url, headers=own, timeout=30, **options)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, headers: Json | None = None) -> Any:
        return self.call("POST", path, headers)

    def put(self, path: str, body: object, format: str) -> Any:
        return self.call("PUT", path, json=body)

    def ready(self) -> Json:
        """An attempt with everything answered, right."""
        attempt = start(self)
        fill_in(self, attempt)
        return attempt

    def complete(self, attempt: Json) -> Any:
        return complete(self, attempt)

    def complete_in_vain(self, attempt: Json) -> Thread:
        """Somebody will be killed meanwhile, and no answer comes."""

        def ask() -> None:
            with pytest.raises(requests.RequestException):
                self.complete(attempt)

        asking = Thread(target=ask)
        asking.start()
        return asking

    def complete_patiently(self, attempt: Json) -> Json:
        """Again until it is answered, as clients do."""
        answers: list[Any] = []

        def is_answered() -> bool:
            try:
                answers.append(self.complete(attempt))
            except requests.RequestException:
                return False
            return bool(answers[-1].status_code == 200)

        wait_for(is_answered)
        result: Json = answers[-1].json()
        return result

    def balance(self, wallet: Service) -> int:
        url = f"http://127.0.0.1:{wallet.port}/api/v1/wallet/balance/"
        own = {"x-zmrn-user-id": self.user}
        return int(requests.get(url, headers=own, timeout=30).json()["balance"])


def family(pid: int) -> list[int]:
    """The process and all below it, itself first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def kill(process: "subprocess.Popen[bytes]", *, only_the_youngest: bool = False) -> None:
    """kill -9 for all of a service at once, or for the processes that do its work."""
    pids = family(process.pid)
    if only_the_youngest:
        pids = [pid for pid in pids if family(pid) == [pid]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    if not only_the_youngest:
        process.wait()


@pytest.fixture
def quiz_file(tmp_path: Path) -> Path:
    path = tmp_path / "quiz.json"
    path.write_text(json.dumps(document(*numbered(3), slug="stock-basics", feedback="deferred")))
    return path


def expect_success(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_with_the_wallet_here_a_reward_is_whole_and_paid_once(
    tmp_path: Path, quiz_file: Path
) -> None:
    points = [*LEARNING, *PAYING, "standing", "commit"]
    with Database("crashes").existing() as database:
        web = Service(tmp_path / "web", {"DATABASE_URL": database.url, "WEB_WORKERS": "1"})
        expect_success(web.manage("migrate", "--verbosity=0"))
        expect_success(web.manage("import_quiz", str(quiz_file), "--publish"))
        with database.connect() as own:
            own.execute(HALTS_OF_LEARNING + HALTS_OF_PAYING)
        process = web.start("web")
        try:
            web.wait_until_ready(process)
            for user, point in enumerate(points, start=1):
                learner = Learner(web, user)
                attempt = learner.ready()
                # In turn the process at work, which granian replaces, and all of the service: two
                # of the first kind within seconds granian takes for a fault, and ends.
                is_all = user % 2 == 0
                with database.halted(point):
                    asking = learner.complete_in_vain(attempt)
                    database.wait_until_somebody_stands_still()
                    kill(process, only_the_youngest=not is_all)
                if is_all:
                    process = web.start("web")
                    web.wait_until_ready(process)
                asking.join()
                result = learner.complete_patiently(attempt)
                assert result["reward"]["amount"] == COINS, point
                assert result["standing"]["participants"] == user, point
                assert learner.complete(attempt).json() == result
                assert learner.balance(web) == COINS, point
        finally:
            kill(process)
        expect_success(web.manage("verify_wallet"))


@pytest.mark.django_db(transaction=True)
def test_with_the_wallet_elsewhere_the_coins_come_later_and_once(
    tmp_path: Path, quiz_file: Path
) -> None:
    wallet_settings = "--settings=config.wallet_settings"
    with ExitStack() as stack:
        database = stack.enter_context(Database("crashes").existing())
        ledger = stack.enter_context(Database("crashes_wallet").existing())
        wallet = Service(
            tmp_path / "wallet", {"WALLET_DATABASE_URL": ledger.url, "WEB_WORKERS": "1"}
        )
        expect_success(wallet.manage("migrate", "--verbosity=0", wallet_settings))
        scopes = ("--scopes", "wallet.write")
        made = wallet.manage("create_api_key", "--owner", "accrue", *scopes, wallet_settings)
        settings = {
            "DATABASE_URL": database.url,
            "WALLET_BACKEND": "wallet.backends.http",
            "WALLET_URL": f"http://127.0.0.1:{wallet.port}",
            "WALLET_API_KEY": expect_success(made).strip(),
            "WEB_WORKERS": "1",
            "WORKER_HEARTBEAT": "1",
        }
        web = Service(tmp_path / "web", settings)
        worker = Service(tmp_path / "worker", settings)
        expect_success(web.manage("migrate", "--verbosity=0"))
        expect_success(web.manage("import_quiz", str(quiz_file), "--publish"))
        with database.connect() as own:
            own.execute(HALTS_OF_LEARNING + HALTS_OF_JOBS)
        with ledger.connect() as own:
            own.execute(HALT + HALTS_OF_PAYING)

        running: dict[str, subprocess.Popen[bytes]] = {}

        def begin(name: str) -> None:
            match name:
                case "web":
                    running[name] = web.start("web")
                    web.wait_until_ready(running[name])
                case "worker":
                    running[name] = worker.start("worker")
                case _:
                    running[name] = wallet.start(wallet_settings)
                    wallet.wait_until_ready(running[name])

        for name in ("wallet", "web", "worker"):
            begin(name)
        learners: list[Learner] = []
        try:
            for where, point, victims in [
                (database, "enqueue", ["web"]),
                (database, "commit", ["web"]),
                (database, "fetch", ["worker"]),
                (ledger, "wallet_account", ["worker"]),
                (ledger, "wallet_entry", ["wallet"]),
                (database, "finish", ["worker"]),
                (ledger, "wallet_entry", ["wallet", "worker", "web"]),
            ]:
                learner = Learner(web, len(learners) + 1)
                learners.append(learner)
                attempt = learner.ready()
                with where.halted(point):
                    if point in ("enqueue", "commit"):
                        asking = learner.complete_in_vain(attempt)
                    else:
                        assert learner.complete(attempt).status_code == 200
                    where.wait_until_somebody_stands_still()
                    for name in victims:
                        kill(running[name])
                for name in victims:
                    begin(name)
                if point in ("enqueue", "commit"):
                    asking.join()
                result = learner.complete_patiently(attempt)
                assert result["reward"]["amount"] == COINS, point
            wait_for(lambda: {each.balance(wallet) for each in learners} == {COINS}, 90)
            expect_success(web.manage("verify_rewards"))
            expect_success(wallet.manage("verify_wallet", wallet_settings))
            with database.connect() as own:
                jobs = "SELECT status::text FROM procrastinate_jobs WHERE task_name LIKE 'wallet%'"
                wait_for(lambda: set(own.execute(jobs).fetchall()) == {("succeeded",)})
        finally:
            for process in running.values():
                kill(process)
