"""`make run`: prepare the database and serve the product, web and worker together."""

import os
import shutil
import signal
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, connections
from django.utils.module_loading import import_string

from common import demo, processes

STAFF = ("admin", "accrue")
PARTS = {"web": processes.web, "worker": processes.worker}
SECONDS_TO_START = 60
SECONDS_TO_STOP = 10
SECONDS_TO_RESTART = 2
MIGRATING = 0x6D696772  # any number, as long as it is everybody's


class Command(BaseCommand):
    help = "Migrate, load the demo world, and serve web and worker until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("parts", nargs="*", help="web, worker; default: both")

    def handle(self, *args: Any, parts: list[str], **options: Any) -> None:
        if not set(parts) <= set(PARTS):
            raise CommandError(f"There is only {' and '.join(PARTS)}.")
        # Web and worker started apart have one shop to share, which somebody must name.
        stand_ins = {} if parts else settings.STAND_INS
        parts = parts or list(PARTS)
        if not apps.is_installed("procrastinate.contrib.django"):
            parts = [part for part in parts if part != "worker"]
        for number in processes.SIGNALS:
            signal.signal(number, interrupt)
        running: dict[str, BaseProcess] = {}
        tasks: dict[str, Callable[[], None]] = {part: PARTS[part] for part in parts}
        try:
            if "web" in parts:
                self.expect_free_port()
                self.collect_figures()
            self.prepare()
            addresses = {}
            for name, path in stand_ins.items():
                addresses[name], tasks[name] = import_string(path)()
            for part, task in tasks.items():
                running[part] = processes.start(task, part)
            if "web" in parts:
                self.welcome(running["web"], addresses)
            self.watch(running, tasks)
        except KeyboardInterrupt:
            pass
        finally:
            for number in processes.SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            processes.stop(list(running.values()), SECONDS_TO_STOP)
            self.release_database()

    def expect_free_port(self) -> None:
        # Asked in advance, because granian shares a port with whoever shares it too.
        try:
            host = processes.address()
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, settings.PORT))
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {settings.HOST}:{settings.PORT}: {error.strerror}. "
                "PORT chooses another port."
            ) from None

    def collect_figures(self) -> None:
        """Where all web processes write their metrics; the library looks when it is imported."""
        figures = Path(settings.DATA_DIR) / f"metrics-{settings.PORT}"
        shutil.rmtree(figures, ignore_errors=True)
        figures.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(figures)

    def prepare(self) -> None:
        self.check(include_deployment_checks=not settings.DEBUG)
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from None
        with connection.cursor() as cursor:
            # Several machines may start at once: one migrates, the others wait.
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
            call_command("migrate", verbosity=0, interactive=False)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATING])
        if settings.DEBUG:
            for name in demo.load():
                self.stderr.write(f"Loaded {name}")
            users = get_user_model().objects
            if not users.filter(is_superuser=True).exists():
                users.create_superuser(STAFF[0], password=STAFF[1])
        else:
            expect_a_password_of_ones_own()
            if not Path(settings.STATIC_ROOT, "staticfiles.json").exists():
                call_command("collectstatic", verbosity=0, interactive=False)
        connections.close_all()  # forked, a connection would be used by two

    def welcome(self, web: BaseProcess, stand_ins: dict[str, str]) -> None:
        host = processes.address()
        host = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104
        deadline = time.monotonic() + SECONDS_TO_START
        while not answers(host, settings.PORT):
            if not web.is_alive() or time.monotonic() > deadline:
                raise CommandError("The web server does not start.")
            time.sleep(0.02)
        address = f"http://localhost:{settings.PORT}"
        self.stdout.write(
            f"\nAccrue is ready.\n"
            f"  API      {address}/api/v1/\n"
            f"  Docs     {address}/api/docs/\n"
            f"  Admin    {address}/admin/"
        )
        if settings.DEBUG:
            self.stdout.write(f"           sign in as {STAFF[0]} with password {STAFF[1]}")
        for name, other in stand_ins.items():
            self.stdout.write(f"  {name.capitalize():8} {other} (a stand-in)")
        self.stdout.write("Ctrl-C stops everything.\n")
        self.stdout.flush()

    def watch(self, running: dict[str, BaseProcess], tasks: dict[str, Callable[[], None]]) -> None:
        parent = os.getppid()
        while True:
            time.sleep(0.2)
            for part, process in list(running.items()):
                if process.is_alive():
                    continue
                if part == "web":
                    raise CommandError(f"The web server ended with {process.exitcode}.")
                # Its database may be away for a while; the web answers 503 meanwhile.
                self.stderr.write(f"The {part} ended with {process.exitcode}; it starts again.")
                processes.stop([process], 0)
                time.sleep(SECONDS_TO_RESTART)
                running[part] = processes.start(tasks[part], part)
            if "MAKELEVEL" in os.environ and os.getppid() != parent:
                return  # make was killed, and cannot tell

    def release_database(self) -> None:
        connections.close_all()
        if settings.DATABASES["default"]["ENGINE"] == "config.database":
            from config import embedded_postgres

            embedded_postgres.stop_if_unused(Path(settings.DATA_DIR), timeout=10)


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def expect_a_password_of_ones_own() -> None:
    """A start that forgot DEBUG=0 left a superuser whose password everybody knows."""
    name, password = STAFF
    user = get_user_model().objects.filter(username=name, is_active=True).first()
    if user is not None and user.check_password(password):
        raise CommandError(
            f"{name} still signs in with the password of a development set-up: "
            f"`manage.py changepassword {name}` first."
        )
