"""Servers under test: the product and its bare rivals, under the same settings on one database."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

SECONDS_TO_START = 120


@contextlib.contextmanager
def serving(application: str, **environment: str) -> Iterator[int]:
    """Serve an application (`module:name`) as `manage.py run` does and yield its port."""
    port = free_port()
    command = [
        sys.executable, "-m", "granian", application, "--interface", "rsgi", "--http", "1",
        "--host", "127.0.0.1", "--port", str(port), "--no-ws", "--log-level", "error",
        "--workers", str(settings.WEB_WORKERS),
    ]  # fmt: skip
    environ = {**os.environ, "LOG_LEVEL": "WARNING", **environment}
    with started(command, port=port, name=application, cwd=settings.BASE_DIR, env=environ):
        # The port may be open before every worker is ready.
        time.sleep(1)
        yield port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def started(command: Sequence[Any], *, port: int, name: str, **options: Any) -> Iterator[None]:
    """A process that listens there by now; its end is ours to see to."""
    process = subprocess.Popen(command, **options)
    with ended(process):
        deadline = time.monotonic() + SECONDS_TO_START
        while not answers(port):
            assert process.poll() is None, f"{name} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{name} does not start"
            time.sleep(0.1)
        yield


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        # Told to end while it still starts, granian does not hear it.
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def ours_and(rival: str, **environment: str) -> Iterator[tuple[int, int]]:
    """Serve the product and its rival, which finds our database in BARE_DATABASE: their ports."""
    where = connection.get_connection_params()
    dsn = f"host={where['host']} dbname={where['dbname']} user={where['user']}"
    with (
        serving(rival, BARE_DATABASE=dsn, **environment) as bare,
        serving(settings.RSGI_APPLICATION) as ours,
    ):
        yield ours, bare


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
