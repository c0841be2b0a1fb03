"""What happens to open buffers when the process forks or ends."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from usage_client.buffer import Buffer

logger = logging.getLogger("usage_client")


class Forking(Protocol):
    """What has locks, and state that a child has afresh."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


# Strongly, so that what a forgotten buffer has accepted is sent all the same.
open_buffers: set[Buffer] = set()
stores: weakref.WeakSet[Forking] = weakref.WeakSet()
held: list[Forking] = []
watched_in: int | None = None


def before_fork() -> None:
    # So that no lock of ours is in the hands of a thread that the child does not have. Buffers
    # first: that is the order in which they take them.
    for each in (*open_buffers.copy(), *list(stores)):
        each.before_fork()
        held.append(each)


def after_fork_in_parent() -> None:
    while held:
        held.pop().after_fork_in_parent()


def after_fork_in_child() -> None:
    while held:
        held.pop().after_fork_in_child()


def watch_for_the_end() -> None:
    global watched_in
    if watched_in == os.getpid():
        return
    if watched_in is None:
        atexit.register(close_all)
    watched_in = os.getpid()
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing and multiprocessing.parent_process():
        # Such a process ends without atexit.
        from multiprocessing.util import Finalize

        Finalize(None, close_all, exitpriority=10)


def close_all() -> None:
    for buffer in list(open_buffers):
        try:
            buffer.close()
        except Exception as error:
            logger.critical("At the end of the process: %s", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=after_fork_in_child,
    )
