"""A wallet as a service of its own, in real processes, and an unreliable way to it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import requests
from django.conf import settings

NOT_THE_TESTS = re.compile("DATABASE_URL|WALLET_|DATA_DIR|PORT|DEBUG|DJANGO_SETTINGS_MODULE")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def environment(directory: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not NOT_THE_TESTS.match(name)}
    return {**kept, "DATA_DIR": str(directory), **more}


@dataclass
class WalletService:
    """`manage.py run --settings=config.wallet_settings`, on a database of its own."""

    directory: Path
    port: int
    api_key: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        here = "--settings=config.wallet_settings"
        return subprocess.run(
            [sys.executable, "manage.py", command, here, *arguments],
            cwd=settings.BASE_DIR,
            env=environment(self.directory, PORT=str(self.port)),
            capture_output=True,
            text=True,
            timeout=60,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [sys.executable, "manage.py", "run", "--settings=config.wallet_settings"]
        with (self.directory / "run.log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=environment(self.directory, PORT=str(self.port)),
                stdout=log,
                stderr=log,
            )
            try:
                self.wait_until_ready(process)
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            try:
                if requests.get(f"{self.url}/health/ready/", timeout=5).ok:
                    return
            except requests.ConnectionError:
                assert process.poll() is None, (self.directory / "run.log").read_text()
            time.sleep(0.1)
        raise AssertionError((self.directory / "run.log").read_text())

    def sql(self, statement: str) -> str:
        """What the database answers, without any decoration."""
        done = self.manage("dbshell", "--", "-X", "-A", "-t", "-q", "-c", statement)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def entries_of(self, user_id: str) -> list[tuple[int, str, str, str]]:
        """Newest first."""
        url = f"{self.url}/api/v1/wallet/entries/?page_size=100"
        page = requests.get(url, headers={"x-zmrn-user-id": user_id}, timeout=10).json()
        return [
            (entry["amount"], entry["kind"], entry["reference"], entry["reason"])
            for entry in page["results"]
        ]


@contextmanager
def proxy_that_drops(url: str, answers: int) -> Iterator[str]:
    """A way to the wallet on which the first answers get lost, after the wallet gave them."""
    lost = iter(range(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = requests.post(url + self.path, body, headers=dict(self.headers), timeout=10)
            assert answer.status_code in (200, 201), answer.text
            if next(lost, None) is None:
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    with serving(Handler) as address:
        yield address


@contextmanager
def always_answering(
    status: int, body: bytes = b"", **headers: str
) -> Iterator[tuple[str, list[str]]]:
    """A wallet that says only this, and the Authorization headers that it was sent."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            pass

    with serving(Handler) as address:
        yield address, heard


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
