"""What `make run` promises: it serves, it ends whole whatever happens, and it starts again."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from common.tests.running import Service, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

USER, QUIZZES = b"x-zmrn-user-id: 5", "/api/v1/quizzes/?page_size=100"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One installation for all tests here: most starts are second starts."""
    return Service(tmp_path_factory.mktemp("run"))


@pytest.fixture(autouse=True)
def _end_what_a_failed_test_left(service):
    yield
    for pid in processes_of(service):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_of(service):
    """Every process that lives on its data: ours, PostgreSQL's, their children."""
    own = f"\0DATA_DIR={service.directory}\0".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if own in b"\0" + (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:  # it ended meanwhile, or is not for us to read
            continue
    return found


def children_of(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def expect_nothing_left(service):
    wait_for(lambda: not processes_of(service), seconds=20)
    with socket.socket() as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", service.port))


def is_served(service):
    try:
        return service.ask("GET", "/health/ready/").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_serves_until_it_is_told_to_end_and_leaves_nothing(service, number):
    process = service.start()
    service.wait_until_ready(process)
    assert len(json.loads(service.ask("GET", QUIZZES, USER).body)["results"]) >= 6
    assert service.ask("GET", "/admin/login/").status == 200
    assert service.ask("GET", "/health/ready/").status == 200
    process.send_signal(number)
    assert process.wait(timeout=30) == 0, service.output
    expect_nothing_left(service)
    assert "Traceback" not in service.output
    assert f"http://localhost:{service.port}/api/docs/" in service.output


def test_told_twice_it_ends_once_and_whole(service):
    process = service.start()
    service.wait_until_ready(process)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    expect_nothing_left(service)
    assert "Traceback" not in service.output


def test_told_while_it_starts_it_ends_too(service):
    process = service.start()
    wait_for(lambda: len(processes_of(service)) > 1)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    expect_nothing_left(service)


def test_killed_it_takes_everything_with_it_and_starts_again(service):
    with service.running() as process:
        assert len(processes_of(service)) > 4
        process.kill()
        process.wait()
        expect_nothing_left(service)
    with service.running():
        assert is_served(service)
    expect_nothing_left(service)


def test_it_ends_when_make_is_killed(service):
    # `exec` would leave nobody between us.
    shell = subprocess.Popen(
        ["sh", "-c", '"$0" manage.py run; true', sys.executable],
        cwd=settings.BASE_DIR,
        env=service.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: is_served(service))
    shell.kill()
    shell.wait()
    expect_nothing_left(service)


def test_what_people_changed_stays_changed(tmp_path):
    service = Service(tmp_path)

    def titles():
        page = json.loads(service.ask("GET", QUIZZES, USER).body)
        return {quiz["slug"]: quiz["title"] for quiz in page["results"]}

    change = (
        "from django.contrib.auth.models import User; from django.utils import timezone; "
        "from quizzes.models import Quiz; User.objects.update(username='boss'); "
        "Quiz.objects.filter(slug='stock-basics').update(archived_at=timezone.now())"
    )
    with service.running():
        before = titles()
        assert service.manage("shell", "-v0", "-c", change).returncode == 0
        assert "stock-basics" not in titles()
    with service.running():
        assert titles() == {slug: title for slug, title in before.items() if slug != "stock-basics"}
        assert "Loaded" not in service.output
        names = "from django.contrib.auth.models import User; print(*User.objects.all())"
        assert service.manage("shell", "-v0", "-c", names).stdout == "boss\n"


def test_a_port_in_use_is_said_clearly_and_nothing_is_left(service):
    with service.running():
        other = Service(service.directory.parent / "other", port=service.port)
        process = other.start()
        assert process.wait(timeout=30) != 0
        assert f"Cannot listen on 127.0.0.1:{service.port}" in other.output
        assert "Traceback" not in other.output
        assert not processes_of(other)
        assert is_served(service)


def test_a_database_that_does_not_answer_is_said_clearly(tmp_path):
    service = Service(tmp_path, {"DATABASE_URL": f"postgresql://me:s3cret@/db?host={tmp_path}"})
    assert service.start().wait(timeout=30) != 0
    assert "The database does not answer" in service.output
    assert "Traceback" not in service.output
    assert "s3cret" not in service.output


def test_a_second_start_on_the_same_data_shares_it(service):
    with service.running():
        second = Service(service.directory, {"HOST": "localhost"})
        # Its output may not overwrite the first one's.
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run", "web"],
            cwd=settings.BASE_DIR,
            env=second.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: is_served(second))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert is_served(service)
    expect_nothing_left(service)


def test_a_part_that_dies_is_noticed_and_replaced(service):
    with service.running() as process:
        web, worker, shop = children_of(process.pid)
        first_server = children_of(web)[0]
        os.kill(worker, signal.SIGKILL)
        os.kill(shop, signal.SIGKILL)
        os.kill(first_server, signal.SIGKILL)
        wait_for(lambda: "The worker ended with -9" in service.output)
        wait_for(lambda: "The shop ended with -9" in service.output)
        wait_for(
            lambda: (
                len(children_of(process.pid)) == 3
                and not {worker, shop} & set(children_of(process.pid))
            )
        )
        wait_for(lambda: len(children_of(web)) == 2 and first_server not in children_of(web))
        for _ in range(8):
            assert is_served(service)
    expect_nothing_left(service)


def test_without_its_web_server_it_ends_with_an_error(service):
    process = service.start()
    service.wait_until_ready(process)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    assert process.wait(timeout=30) != 0
    assert "The web server ended with -9" in service.output
    expect_nothing_left(service)


def test_the_parts_run_alone(service):
    with service.running("web") as process:
        assert len(children_of(process.pid)) == 1
    worker = service.start("worker")

    def has_begun():
        names = processes_of(service)
        return any(b"manage.py" in names.get(child, b"") for child in children_of(worker.pid))

    wait_for(has_begun)
    assert not is_served(service)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert service.manage("run", "everything").returncode != 0


def test_a_container_asks_whether_it_is_ready(service):
    def probe():
        command = [sys.executable, "-m", "common.healthcheck"]
        return subprocess.run(command, cwd=settings.BASE_DIR, env=service.environment).returncode

    assert probe() == 1
    with service.running("web"):
        assert probe() == 0


def test_the_wallet_runs_alone_with_its_own_database(tmp_path):
    wallet = Service(tmp_path, {"DJANGO_SETTINGS_MODULE": "config.wallet_settings"})
    with wallet.running() as process:
        assert len(children_of(process.pid)) == 1  # it has no jobs
        assert json.loads(wallet.ask("GET", "/api/v1/wallet/balance/", USER).body)["balance"] == 0
        assert wallet.ask("GET", QUIZZES, USER).status == 404
        assert is_served(wallet)
    expect_nothing_left(wallet)
