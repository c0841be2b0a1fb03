"""Servers under test: the product and its bare rivals, under the same settings on one database."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from django.conf import settings


@contextlib.contextmanager
def serving(application: str, **environment: str) -> Iterator[int]:
    """Serve an application (`module:name`) as `manage.py run` does and yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "granian", application, "--interface", "rsgi", "--http", "1",
        "--host", "127.0.0.1", "--port", str(port), "--no-ws", "--log-level", "error",
        "--workers", str(settings.WEB_WORKERS),
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env={**os.environ, "LOG_LEVEL": "WARNING", **environment},
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        time.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait()
