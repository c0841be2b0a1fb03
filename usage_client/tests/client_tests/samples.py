"""The brief's sample, processes of their own, and how to wait."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from usage_client.testing import UsageServer

HOSTING: dict[str, Any] = {
    "customer_id": 123,
    "service": "Database Hosting",
    "units_consumed": 58,
    "price_per_unit": "0.05",
}

PROGRAMME = """
import os, sys
from usage_client import *
client = UsageClient(sys.argv[1], "key-of-a-test", deadline=float(os.environ.get("DEADLINE", "5")))
HOSTING = dict(customer_id=123, service="s", units_consumed=1, price_per_unit="0.10")
"""


def hosting(**changes: Any) -> dict[str, Any]:
    return {**HOSTING, **changes}


def start(server: UsageServer, code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process with a `client` of this server, and a record called HOSTING."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAMME + code, server.url, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(server: UsageServer, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(server, code, *arguments)
    out, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.01)
