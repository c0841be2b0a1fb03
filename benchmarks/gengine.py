"""Incentives beside gengine (gamification-engine 0.4.0): "so many times", which both can do.

Both are real HTTP servers on this machine and the same PostgreSQL; they get the same events for
as many users who have none yet, in turn, over the same number of connections.

Comparable: from the first request until every user's achievement is on record; reading right
progress after a call; what is lost when one user's events come at once.

Not comparable, and against us: gengine's call is done when it is evaluated, ours is evaluated by a
worker that looks once a second, and that second counts. It checks no key, takes no idempotency
key, and its rule has no window; ours has one of a year. In our favour: we run as we are served
(two web processes and a worker), it as its own configuration has it (waitress, one process of four
threads; more would need its caches outside), on libraries of its day. It has no streaks.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import connection
from django.utils import timezone

from benchmarks import load, server
from benchmarks.report import heading, ratio
from common.models import ApiKey
from incentives.models import (
    Achievement,
    Eligibility,
    Employer,
    Incentive,
    Programme,
    Rule,
    Waiting,
)
from incentives.programmes import publish_programme, publish_rule

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
EVENT = "health_data_logged"
TIMES = 15
USERS = 20_000
CROWD = int(20 * SCALE)  # users in one round; together they send TIMES as many events
CONNECTIONS = 12
DATABASE = "accrue_gengine"
UV = settings.BASE_DIR / ".tools" / "bin" / "uv"
PINS = Path(__file__).with_name("gengine.txt")
SERVER = Path(__file__).with_name("gengine_server.py")


class Side(Protocol):
    port: int

    def happening(self, user: int) -> bytes: ...
    def reading(self, user: int) -> bytes: ...
    def settle(self) -> None:
        """Come back once all that was accepted is evaluated."""

    def progress(self, user: int) -> tuple[int, bool]:
        """How often it is said to have happened, and whether the achievement is on record."""


class Ours:
    def __init__(self, port: int, secret: str) -> None:
        self.port = port
        self.secret = secret

    def happening(self, user: int) -> bytes:
        body = {
            "id": uuid.uuid4().hex,
            "user_id": user_id(user),
            "type": EVENT,
            "occurred_at": timezone.now().isoformat(),
        }
        return load.post(
            "/api/v1/incentives/events/",
            json.dumps(body).encode(),
            Authorization=f"Bearer {self.secret}",
        )

    def reading(self, user: int) -> bytes:
        return load.get("/api/v1/incentives/progress/", **self.member(user))

    def member(self, user: int) -> dict[str, str]:
        return {"x-zmrn-user-id": user_id(user), "x-gateway-secret": settings.GATEWAY_SECRET}

    def settle(self) -> None:
        while Waiting.objects.exists():
            time.sleep(0.01)

    def progress(self, user: int) -> tuple[int, bool]:
        (mine,) = answer(self.port, "/api/v1/incentives/progress/", self.member(user))
        has = Achievement.objects.filter(user_id=user_id(user)).count()
        return mine["current"], has == 1


class Gengine:
    def __init__(self, port: int) -> None:
        self.port = port

    def happening(self, user: int) -> bytes:
        return load.post(f"/increase_value/{EVENT}/{user}", b'{"value": 1}')

    def reading(self, user: int) -> bytes:
        return load.get(f"/progress/{user}")

    def settle(self) -> None:
        """It evaluates before it answers."""

    def progress(self, user: int) -> tuple[int, bool]:
        (mine,) = answer(self.port, f"/progress/{user}", {})["achievements"]
        return int(mine["progress"]), mine["level"] == 1


def run() -> None:
    try:
        python = install()
    except (OSError, subprocess.CalledProcessError) as error:
        heading("Incentives beside gengine: SKIPPED, it could not be installed")
        print(error, getattr(error, "stderr", None) or "", sep="\n")
        return
    secret = offer()
    with (
        worker(),
        server.serving(settings.RSGI_APPLICATION) as our_port,
        serving(python) as its_port,
    ):
        ours, its = Ours(our_port, secret), Gengine(its_port)
        users = itertools.count(1)
        for side in (ours, its):
            warm_up(side, users)
        fresh = {ours: itertools.count(10_000), its: itertools.count(10_000)}

        heading("Incentives: events per second until all is evaluated (ours : gengine)")
        ratio(
            f"{CROWD} users, {TIMES} events each, {CONNECTIONS} connections",
            partial(evaluated, ours, fresh[ours]),
            partial(evaluated, its, fresh[its]),
        )
        heading("Incentives: milliseconds for a call, the median, one at a time (ours : gengine)")
        for label, is_read in (("an event", False), ("an event, then its progress", True)):
            ratio(
                label,
                partial(milliseconds, ours, fresh[ours], is_read),
                partial(milliseconds, its, fresh[its], is_read),
            )
        heading("Incentives: lost of 60 events, 4 users at once on 12 connections, five rounds")
        for order, is_mixed in (("users mixed", True), ("one user after the other", False)):
            for name, side in (("ours", ours), ("gengine", its)):
                rounds = [at_once(side, fresh[side], is_mixed) for _ in range(5)]
                refused, missing, without = (list(each) for each in zip(*rounds, strict=True))
                print(f"{order}, {name}: refused {refused}, missing in the progress {missing},")
                print(f"    users without their achievement {without}")


def warm_up(side: Side, users: Iterator[int]) -> None:
    load.run(side.port, lambda _: side.happening(next(users)), seconds=2)
    side.settle()


def evaluated(side: Side, fresh: Iterator[int]) -> float:
    crowd = [next(fresh) for _ in range(CROWD)]
    count = CROWD * TIMES
    started = time.perf_counter()
    result = load.run(
        side.port,
        lambda number: side.happening(crowd[number % CROWD]),
        connections=CONNECTIONS,
        seconds=600,
        at_most=count,
    )
    side.settle()
    seconds = time.perf_counter() - started
    assert set(result.statuses) <= {200, 202}, result.statuses
    standing = {side.progress(user) for user in crowd}
    assert standing == {(TIMES, True)}, standing
    return count / seconds


def milliseconds(side: Side, fresh: Iterator[int], is_read: bool) -> float:
    """A user does it TIMES times, then it is the next one's turn."""
    users = itertools.chain.from_iterable(itertools.repeat(user, TIMES) for user in fresh)
    calls = side.happening, side.reading
    last: list[int] = []

    def request(number: int) -> bytes:
        if not is_read or number % 2 == 0:
            last[:] = [next(users)]
            return calls[0](last[0])
        return calls[1](last[0])

    result = load.run(side.port, request, connections=1, seconds=2)
    assert set(result.statuses) <= {200, 202}, result.statuses
    side.settle()
    times = result.latencies
    if is_read:
        times = [sum(pair) for pair in zip(times[::2], times[1::2], strict=False)]
    return statistics.median(times) * 1000


def at_once(side: Side, fresh: Iterator[int], is_mixed: bool) -> tuple[int, int, int]:
    """Of 60 events: the refused, those that the progress does not know; users without award."""
    users = [next(fresh) for _ in range(4)]
    turns = [user for user in users for _ in range(TIMES)]
    if is_mixed:
        random.Random(6).shuffle(turns)
    result = load.run(
        side.port,
        lambda number: side.happening(turns[number]),
        connections=12,
        seconds=600,
        at_most=len(turns),
        hung_up_is=500,
    )
    side.settle()
    standing = [side.progress(user) for user in users]
    return (
        sum(many for status, many in result.statuses.items() if status >= 300),
        len(turns) - sum(counted for counted, _ in standing),
        sum(not is_achieved for _, is_achieved in standing),
    )


def answer(port: int, path: str, headers: dict[str, str]) -> Any:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
        client.request("GET", path, headers={"Host": "localhost", **headers})
        response = client.getresponse()
        assert response.status == 200, response.status
        return json.load(response)


def user_id(user: int) -> str:
    """Not those of the other suites."""
    return str(2 * 10**9 + user)


def offer() -> str:
    """One programme and its members; the key to send events with."""
    employer = Employer.objects.create(slug="gengine", name="Gengine", timezone="UTC")
    Eligibility.objects.bulk_create(
        (
            Eligibility(employer=employer, user_id=user_id(user), starts_on=date(2020, 1, 1))
            for user in range(1, USERS + 1)
        ),
        batch_size=1000,
    )
    now = timezone.now()
    programme = Programme.objects.create(
        slug="gengine", name="Gengine", employer=employer, starts_on=date(2020, 1, 1)
    )
    incentive = Incentive.objects.create(programme=programme, slug="times", name="Times")
    structure = {"structure": "times_in_window", "event": EVENT, "times": TIMES, "window": 365}
    rule = Rule.objects.create(incentive=incentive, number=1, structure=structure, reward="Pillow")
    publish_rule(rule=rule, by=None, now=now)
    publish_programme(programme=programme, now=now)
    return ApiKey.issue(owner="gengine", scopes=["incentives.write"])[1]


def install() -> Path:
    """gengine's own environment beside the data, made anew when its pins change."""
    directory = settings.DATA_DIR / "gengine"
    python: Path = directory / "bin" / "python"
    done = directory / PINS.name
    if done.exists() and done.read_text() == PINS.read_text():
        return python
    print("Installing gengine, once; this takes some minutes.")
    for arguments in (
        ["venv", "--clear", "--python", sys.executable, str(directory)],
        # Releases of then are built, and import pkg_resources.
        ["pip", "install", "--python", str(python), "setuptools==57.5.0",
         "wheel==0.37.1"],
        ["pip", "install", "--python", str(python), "--no-deps", "--no-build-isolation",
         "-r", str(PINS)],
    ):  # fmt: skip
        subprocess.run([UV, "-q", *arguments], check=True, capture_output=True, text=True)
    done.write_text(PINS.read_text())
    return python


@contextlib.contextmanager
def worker() -> Iterator[None]:
    command = [sys.executable, "manage.py", "procrastinate", "worker"]
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, stderr=subprocess.DEVNULL)
    with server.ended(process):
        yield


@contextlib.contextmanager
def serving(python: Path) -> Iterator[int]:
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    parameters = connection.get_connection_params()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    environment = {name: str(parameters[key]) for key, name in names.items() if key in parameters}
    port = server.free_port()
    command = [python, "-P", SERVER, DATABASE, str(port), EVENT, str(TIMES), str(USERS)]
    environ = {**os.environ, **environment}
    with server.started(command, port=port, name="gengine", cwd=settings.DATA_DIR, env=environ):
        yield port
