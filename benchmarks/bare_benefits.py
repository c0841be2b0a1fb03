"""The rival: a WSGI function that only asks what is available, under the same server."""

import json
import os
from datetime import UTC, datetime
from urllib.parse import parse_qs

from benchmarks import bare

STATEMENT = os.environ["BARE_STATEMENT"]


def answer(environ: bare.Environ) -> bare.Answer:
    query = parse_qs(environ["QUERY_STRING"])
    person, venue = int(query["personId"][0]), int(query["venueId"][0])
    parameters = {"person": person, "venue": venue, "at": datetime.now(UTC)}
    rows = bare.connection().execute(STATEMENT, parameters).fetchall()
    found = json.dumps(
        [
            {"id": id, "venueId": venue, "title": title, "recurrence": recurrence}
            for id, title, recurrence in rows
        ]
    ).encode()
    return "200 OK", found


application = bare.application(answer)
