"""The rival: a WSGI function that inserts an event as it comes and does nothing else."""

import json
import os

from benchmarks import bare

STATEMENT = os.environ["BARE_STATEMENT"]


def answer(environ: bare.Environ) -> bare.Answer:
    event = json.loads(bare.body_of(environ))
    row = [event[name] for name in ("id", "user_id", "type", "occurred_at")]
    done = bare.connection().execute(STATEMENT, ["bare", *row, event.get("timezone", ""), "{}"])
    found = json.dumps({"accepted": done.rowcount, "duplicates": 1 - done.rowcount}).encode()
    return "202 Accepted", found


application = bare.application(answer)
