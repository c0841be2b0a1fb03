"""The rival: a WSGI function that does nothing but the ledger's own SQL, under the same server."""

import json
import os

from benchmarks import bare

STATEMENT = os.environ["BARE_STATEMENT"]


def answer(environ: bare.Environ) -> bare.Answer:
    body = json.loads(bare.body_of(environ))
    row = (
        bare.connection()
        .execute(
            STATEMENT,
            {
                **body,
                "key": environ["HTTP_IDEMPOTENCY_KEY"],
                "owner": "bare",
                "counterparty": "issuer",
                "reference": "",
                "reason": "",
                "corrects": None,
                "fingerprint": b"",
            },
        )
        .fetchone()
    )
    assert row is not None
    found = json.dumps([str(column) for column in row]).encode()
    return "201 Created", found


application = bare.application(answer)
