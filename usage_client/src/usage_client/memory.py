"""Accepted records in memory: gone with the process, unless its end is waited for."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

from usage_client import lifetime
from usage_client.records import Usage
from usage_client.results import Result


class Memory:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.lock = threading.RLock()
        self._waiting: dict[int, Usage] = {}
        self._numbers = itertools.count(1)
        lifetime.stores.add(self)

    def open(self, base_url: str) -> None:
        """Nothing to do."""

    def add(self, usages: Sequence[Usage]) -> list[int]:
        with self.lock:
            numbered = {next(self._numbers): usage for usage in usages}
            self._waiting.update(numbered)
        return list(numbered)

    def head(self, count: int) -> list[tuple[int, Usage]]:
        with self.lock:
            return list(itertools.islice(self._waiting.items(), count))

    def settle(self, results: Sequence[tuple[int, Result]]) -> None:
        with self.lock:
            for id, _ in results:
                self._waiting.pop(id, None)
            if not self._waiting:
                # A dict from whose front much was taken gets slow to look at.
                self._waiting = {}

    def bounds(self) -> tuple[int, int] | None:
        with self.lock:
            waiting = self._waiting
            return (next(iter(waiting)), next(reversed(waiting))) if waiting else None

    def size(self) -> int:
        return len(self._waiting)

    def elsewhere(self, ids: Sequence[int]) -> list[tuple[int, Result | None]]:
        return []

    def unsettled(self) -> list[Usage]:
        with self.lock:
            return list(self._waiting.values())

    def leave(self) -> None:
        """Nothing to do."""

    def before_fork(self) -> None:
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        self.lock.release()

    def after_fork_in_child(self) -> None:
        self.lock = threading.RLock()
        # The parent sends what it accepted.
        self._waiting = {}
