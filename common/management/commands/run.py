"""`make run`: prepare the database and serve the product, web and worker together."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from common import demo
from common.processes import die_with_parent

STAFF = ("admin", "accrue")
SECONDS_TO_STOP = 10


class Command(BaseCommand):
    help = "Migrate, load the demo world, and serve web and worker until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=2, help="web processes (default 2)")
        parser.add_argument("--threads", type=int, default=8, help="threads of each (default 8)")

    def handle(self, *args: Any, workers: int, threads: int, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        processes: list[subprocess.Popen[bytes]] = []
        try:
            self.prepare()
            processes = self.start(workers, threads)
            self.welcome(processes)
            self.watch(processes)
        except KeyboardInterrupt:
            pass
        finally:
            stop(processes)
            self.release_database()

    def prepare(self) -> None:
        call_command("check", deploy=not settings.DEBUG)
        call_command("migrate", verbosity=0, interactive=False)
        if settings.DEBUG:
            for name in demo.load():
                self.stderr.write(f"Loaded {name}")
            users = get_user_model().objects
            if not users.filter(is_superuser=True).exists():
                users.create_superuser(STAFF[0], password=STAFF[1])
        else:
            call_command("collectstatic", verbosity=0, interactive=False)

    def start(self, workers: int, threads: int) -> list[subprocess.Popen[bytes]]:
        figures = Path(settings.DATA_DIR) / f"metrics-{settings.PORT}"
        shutil.rmtree(figures, ignore_errors=True)
        figures.mkdir(parents=True)
        environment = {
            **os.environ,
            "DATA_DIR": str(settings.DATA_DIR),
            "PROMETHEUS_MULTIPROC_DIR": str(figures),
        }
        python = [sys.executable, "-m"]
        web = [
            *python, "granian", "config.wsgi:application",
            "--interface", "wsgi", "--host", settings.HOST, "--port", str(settings.PORT),
            "--workers", str(workers), "--blocking-threads", str(threads),
            "--respawn-failed-workers", "--no-ws", "--log-level", "warning",
        ]  # fmt: skip
        commands = [web]
        if apps.is_installed("procrastinate.contrib.django"):
            commands.append([sys.executable, "manage.py", "procrastinate", "worker"])
        return [
            subprocess.Popen(
                command, cwd=settings.BASE_DIR, env=environment, preexec_fn=die_with_parent
            )
            for command in commands
        ]

    def welcome(self, processes: list[subprocess.Popen[bytes]]) -> None:
        address = f"http://localhost:{settings.PORT}"
        for _ in range(600):
            self.expect_alive(processes)
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{address}/health/live/", timeout=1).ok:
                    break
            time.sleep(0.1)
        self.stdout.write(
            f"\nAccrue is ready.\n"
            f"  API      {address}/api/v1/\n"
            f"  Docs     {address}/api/docs/\n"
            f"  Admin    {address}/admin/"
        )
        if settings.DEBUG:
            self.stdout.write(f"           sign in as {STAFF[0]} with password {STAFF[1]}")
        self.stdout.write("Ctrl-C stops everything.\n")
        self.stdout.flush()

    def watch(self, processes: list[subprocess.Popen[bytes]]) -> None:
        while True:
            self.expect_alive(processes)
            time.sleep(0.5)

    def expect_alive(self, processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            if process.poll() is not None:
                command = " ".join(str(part) for part in process.args)  # type: ignore[union-attr]
                raise CommandError(f"Ended with {process.returncode}: {command}")

    def release_database(self) -> None:
        from django.db import connections

        connections.close_all()
        if settings.DATABASES["default"]["ENGINE"] == "config.database":
            from config import embedded_postgres

            embedded_postgres.stop_if_unused(Path(settings.DATA_DIR), timeout=10)


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + SECONDS_TO_STOP
    for process in processes:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
