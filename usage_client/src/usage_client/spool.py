"""Accepted records on disk until the service has them: through kill -9, restarts and outages.

One SQLite file, which several processes may share. Each record has an owner, the buffer that will
send it. An owner says from time to time that it lives; the records of one that no longer does are
taken over. Should two send the same record after all, its key makes it one.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from usage_client import lifetime
from usage_client.errors import KeyConflict, Misconfigured, SpoolFailed
from usage_client.records import Usage
from usage_client.results import Result, verdict

# Several times what a batch may take; a process that was killed is noticed at once all the same.
LEASE_SECONDS = 120.0
BUSY_SECONDS = 30.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner (
    name TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, lives_until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    line BLOB NOT NULL,
    accepted_at REAL NOT NULL,
    owner TEXT,
    refused TEXT
);
CREATE INDEX IF NOT EXISTS record_owner ON record (owner, id) WHERE refused IS NULL;
PRAGMA user_version = 1;
"""

# The names of this process's own, alive or not: another with our process id is a dead one's.
own_names: set[str] = set()


class Status(NamedTuple):
    """What is in a spool: waiting, set aside, and since when (seconds since 1970)."""

    waiting: int
    refused: int
    oldest_at: float | None
    base_url: str | None


class Refusal(NamedTuple):
    """A record that the service will not take as it is, and its words."""

    id: int
    usage: Usage
    status: str
    errors: list[dict[str, Any]]


class Spool:
    """The file at `path`, made when there is none (readable for its user alone).

    `record` returns when the record is on the disk. The directory must be on a local disk: SQLite
    needs locks that network file systems do not keep.
    """

    def __init__(self, path: str | os.PathLike[str], *, capacity: int = 1_000_000) -> None:
        self.path = Path(path)
        self.capacity = capacity
        self.lock = threading.RLock()
        self.name = ""
        self._connection: sqlite3.Connection | None = None
        self._size = 0
        self._lives_until = 0.0
        lifetime.stores.add(self)

    def __repr__(self) -> str:
        return f"Spool({str(self.path)!r})"

    # What a buffer asks of it.

    def open(self, base_url: str) -> None:
        """Become an owner, and take over what the dead have left."""
        if self.name:
            raise Misconfigured(f"{self!r} is another buffer's; a Spool of the same path will do.")
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO spool VALUES ('base_url', ?)", [base_url])
            (known,) = connection.execute(
                "SELECT value FROM spool WHERE name = 'base_url'"
            ).fetchone()
            if known != base_url:
                raise Misconfigured(f"{self.path} holds records for {known}, not for {base_url}.")
            self.name = uuid.uuid4().hex
            own_names.add(self.name)
            self._say_alive(connection)
            self._adopt(connection)

    def add(self, usages: Sequence[Usage]) -> list[int]:
        """On the disk when this returns, all or none."""
        ids = []
        with self._writing() as connection:
            if not self._says_alive():
                self._say_alive(connection)
            for usage in usages:
                ids.append(self._put(connection, usage))
            # At times too many, when a key was there before; `head` puts that right.
            self._size += len(ids)
        return ids

    def head(self, count: int) -> list[tuple[int, Usage]]:
        with self._writing() as connection:
            if self._lives_until - time.time() < LEASE_SECONDS / 2:
                self._say_alive(connection)
                self._adopt(connection)
            found = connection.execute(
                "SELECT id, line FROM record WHERE owner = ? AND refused IS NULL"
                " ORDER BY id LIMIT ?",
                [self.name, count],
            ).fetchall()
            if len(found) < count:
                # Others may have taken some over.
                self._size = len(found)
        return [(id, Usage.from_line(line)) for id, line in found]

    def settle(self, results: Sequence[tuple[int, Result]]) -> None:
        """Forget what is recorded, set aside what never will be."""
        gone = [[id] for id, result in results if result.ok]
        refused = [[refusal_of(result), id] for id, result in results if not result.ok]
        with self._writing() as connection:
            connection.executemany("DELETE FROM record WHERE id = ?", gone)
            connection.executemany("UPDATE record SET refused = ? WHERE id = ?", refused)
            self._size = max(0, self._size - len(results))

    def bounds(self) -> tuple[int, int] | None:
        """The first and the last that wait."""
        both = "SELECT min(id), max(id) FROM record WHERE owner = ? AND refused IS NULL"
        with self._reading() as connection:
            first, last = connection.execute(both, [self.name]).fetchone()
        return None if first is None else (int(first), int(last))

    def size(self) -> int:
        """How many this owner still has to send."""
        return self._size

    def elsewhere(self, ids: Sequence[int]) -> list[tuple[int, Result | None]]:
        """Which of these others have settled meanwhile: None when recorded, else the refusal."""
        found: list[tuple[int, Result | None]] = []
        with self._reading() as connection:
            for id in ids:
                row = connection.execute(
                    "SELECT line, refused FROM record WHERE id = ?", [id]
                ).fetchone()
                if row is None:
                    found.append((id, None))
                elif row[1] is not None:
                    found.append((id, result_of(Usage.from_line(row[0]), row[1])))
        return found

    def unsettled(self) -> list[Usage]:
        # They stay here and are sent by whoever opens the spool next.
        return []

    def leave(self) -> None:
        """Stop being an owner: what is left is anybody's."""
        with self.lock:
            if not self.name:
                return
            try:
                with self._writing() as connection:
                    connection.execute("DELETE FROM owner WHERE name = ?", [self.name])
            finally:
                self.name = ""
                self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Locks it, and closes the file: SQLite's locks do not survive a fork, and what a process
        remembers of them is wrong in its child, even for a connection of the child's own."""
        self.lock.acquire()
        self._close()

    def after_fork_in_parent(self) -> None:
        self.lock.release()

    def after_fork_in_child(self) -> None:
        """The parent keeps its name and its records."""
        self.lock = threading.RLock()
        self._size, self._lives_until = 0, 0.0
        if self.name:
            self.name = uuid.uuid4().hex
            own_names.add(self.name)

    # What people ask of it.

    def status(self) -> Status:
        with self._reading() as connection:
            waiting, refused, oldest = connection.execute(
                "SELECT count(*) FILTER (WHERE refused IS NULL), count(refused),"
                " min(accepted_at) FILTER (WHERE refused IS NULL) FROM record"
            ).fetchone()
            url = connection.execute("SELECT value FROM spool WHERE name = 'base_url'").fetchone()
        return Status(waiting, refused, oldest, url and url[0])

    def refused(self) -> list[Refusal]:
        with self._reading() as connection:
            found = connection.execute(
                "SELECT id, line, refused FROM record WHERE refused IS NOT NULL ORDER BY id"
            ).fetchall()
        return [
            Refusal(id, Usage.from_line(line), why["status"], why["errors"])
            for id, line, why in ((id, line, json.loads(why)) for id, line, why in found)
        ]

    def retry_refused(self) -> int:
        """Send them again, say because the customer exists by now."""
        with self._writing() as connection:
            return connection.execute(
                "UPDATE record SET refused = NULL, owner = NULL WHERE refused IS NOT NULL"
            ).rowcount

    def discard_refused(self) -> int:
        with self._writing() as connection:
            return connection.execute("DELETE FROM record WHERE refused IS NOT NULL").rowcount

    # How it is done.

    def _put(self, connection: sqlite3.Connection, usage: Usage) -> int:
        row = [usage.idempotency_key, usage.line, time.time(), self.name]
        made = connection.execute(
            "INSERT OR IGNORE INTO record (key, line, accepted_at, owner) VALUES (?, ?, ?, ?)", row
        )
        if made.rowcount:
            return int(made.lastrowid or 0)
        id, line, refused = connection.execute(
            "SELECT id, line, refused FROM record WHERE key = ?", row[:1]
        ).fetchone()
        if refused is None and line != usage.line:
            raise KeyConflict(
                f"{usage.idempotency_key} waits in the spool with other values.",
                records=[usage],
                body=usage.body,
            )
        # The same once more, or better after it was refused; whoever had it, it is ours now.
        connection.execute(
            "UPDATE record SET line = ?, owner = ?, refused = NULL WHERE id = ?",
            [usage.line, self.name, id],
        )
        return int(id)

    def _says_alive(self) -> bool:
        return time.time() < self._lives_until - LEASE_SECONDS / 2

    def _say_alive(self, connection: sqlite3.Connection) -> None:
        self._lives_until = time.time() + LEASE_SECONDS
        connection.execute(
            "INSERT OR REPLACE INTO owner VALUES (?, ?, ?, ?)",
            [self.name, socket.gethostname(), os.getpid(), self._lives_until],
        )

    def _adopt(self, connection: sqlite3.Connection) -> None:
        for name, host, pid, until in connection.execute("SELECT * FROM owner").fetchall():
            if name != self.name and is_dead(name, host, pid, until):
                connection.execute("DELETE FROM owner WHERE name = ?", [name])
        connection.execute(
            "UPDATE record SET owner = ? WHERE refused IS NULL AND"
            " (owner IS NULL OR owner NOT IN (SELECT name FROM owner))",
            [self.name],
        )
        self._size = self._count(connection)

    def _count(self, connection: sqlite3.Connection) -> int:
        waiting = "SELECT count(*) FROM record WHERE owner = ? AND refused IS NULL"
        return int(connection.execute(waiting, [self.name]).fetchone()[0])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            try:
                yield self._connected()
            except sqlite3.Error as error:
                raise SpoolFailed(f"{self.path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            # Made here, so that nobody else can read who consumed what.
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise SpoolFailed(str(error)) from error
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit is on the disk before it returns, also when the power fails.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
            if connection.execute("PRAGMA user_version").fetchone() != (1,):
                connection.executescript(SCHEMA)
            self._connection = connection
        return self._connection


def is_dead(name: str, host: str, pid: int, lives_until: float) -> bool:
    """Its time is over, or its process is. A mistake costs a record sent twice, no more."""
    if lives_until < time.time():
        return True
    if host != socket.gethostname():
        return False
    if pid == os.getpid():
        return name not in own_names
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def refusal_of(result: Result) -> str:
    return json.dumps({"status": result.status, "errors": list(result.errors)}, default=str)


def result_of(usage: Usage, refused: str) -> Result:
    why = json.loads(refused)
    return verdict(usage, why["status"], why["errors"], attempts=0)
