"""`manage.py run` as a real process, and requests byte for byte."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection

OURS = re.compile(
    "DATABASE_URL|WALLET_|ECOMMERCE_|WEB_|DATA_DIR|HOST|PORT|DEBUG|DJANGO_|PROMETHEUS_"
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Service:
    """One installation: its data, its port, its settings."""

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not OURS.match(name)}
        own = {"DATA_DIR": str(self.directory), "PORT": str(self.port), "MAKELEVEL": "1"}
        return {**kept, **own, **self.settings}

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text()

    def start(self, *parts: str) -> subprocess.Popen[bytes]:
        self.directory.mkdir(exist_ok=True)
        with (self.directory / "output").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "manage.py", "run", *parts],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=output,
                stderr=output,
            )

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        wait_for(lambda: "is ready" in self.output or process.poll() is not None)
        assert process.poll() is None, self.output

    @contextmanager
    def running(self, *parts: str) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start(*parts)
        try:
            self.wait_until_ready(process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def ask(self, method: str, path: str, *headers: bytes, body: bytes = b"") -> "Answer":
        """One request with exactly these bytes: `ask("GET", "/api/v1/", b"x-a: 1")`."""
        lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", *headers]
        return self.send(b"\r\n".join([*lines, b"Connection: close", b"", body]))

    def send(self, request: bytes) -> "Answer":
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            received = b""
            while part := connection.recv(65536):
                received += part
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        return Answer(int(status.split()[1]), headers, body)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def of_this_database(**more: str) -> dict[str, str]:
    """The environment of a process that works on the test's own database."""
    found = connection.settings_dict
    kept = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    own = {
        "DATABASE_URL": f"postgresql://{found['USER']}@/{found['NAME']}?host={found['HOST']}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": settings.SECRET_KEY,
    }
    return {**kept, **own, **more}
