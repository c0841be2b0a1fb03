"""The processes of the product: what each one does, and that none outlives its parent."""

import asyncio
import ctypes
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import cast

import django
from django.conf import settings

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# Forked, a process starts in no time, with everything already imported; elsewhere than on Linux
# the system's own libraries do not survive a fork.
processes = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")

# Web workers that do not stop are killed before our own patience ends (run.py).
SECONDS_TO_FINISH = 7


def die_with_parent() -> None:
    """The kernel ends this process when its parent is gone, however that ended."""
    if libc is not None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(task: Callable[[], None], name: str) -> BaseProcess:
    """Run the task in a process of its own, in a process group of its own."""
    process: BaseProcess = processes.Process(  # type: ignore[attr-defined]  # either context has it
        target=run, args=(task,), name=name
    )
    process.start()
    return process


def run(task: Callable[[], None]) -> None:
    # A Ctrl-C in the terminal is for our parent, who tells us.
    os.setpgid(0, 0)
    begin()
    django.setup()
    task()


def begin() -> None:
    """Nothing of how our parent hears its signals is for us."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    die_with_parent()


def stop(group: list[BaseProcess], seconds: float) -> None:
    """Ask them all to end, give them some seconds, and leave nothing of them behind."""
    deadline = time.monotonic() + seconds
    for process in group:
        process.terminate()
    for process in group:
        process.join(max(0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(cast("int", process.pid), signal.SIGKILL)
        process.join()


def address() -> str:
    """Where the web listens; HOST may be a name."""
    found = socket.getaddrinfo(settings.HOST, settings.PORT, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def web() -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels

    # Imported before its workers are forked, they all have it.
    importlib.import_module(settings.RSGI_APPLICATION.partition(":")[0])
    # A worker that still has granian's handlers does not hear that it shall end.
    os.register_at_fork(after_in_child=begin)
    Granian(
        settings.RSGI_APPLICATION,
        address=address(),
        port=settings.PORT,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=settings.WEB_WORKERS,
        respawn_failed_workers=True,
        workers_kill_timeout=SECONDS_TO_FINISH,
        log_level=LogLevels.warning,
        log_dictconfig={"loggers": {"_granian": {"propagate": True}}},  # as everybody's
    ).serve()


def worker() -> None:
    from procrastinate.contrib.django import app

    from common import queues

    with app.replace_connector(app.connector.get_worker_connector()):  # type: ignore[attr-defined]
        asyncio.run(queues.work(app))
