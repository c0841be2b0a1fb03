"""The rivals: a WSGI function that inserts an event as it comes, or reads a page of a feed, and
does nothing else.
"""

import json
import os
from urllib.parse import parse_qs

from benchmarks import bare

STATEMENT = os.environ["BARE_STATEMENT"]
PAGE = """
SELECT json_build_object('results', coalesce(json_agg(row_to_json(page)), '[]'),
                         'next', max(page.sequence))::text
FROM (
    SELECT entry.achievement_id AS id, entry.sequence, member.pseudonym AS member,
           entry.reward_code, partnership.reference AS programme,
           entry.effective_on AS effective_date, entry.status, entry.version
    FROM incentives_feedentry entry
    JOIN incentives_partner partner ON partner.id = entry.partner_id
    JOIN incentives_partnermember member ON member.id = entry.member_id
    JOIN incentives_partnership partnership ON partnership.id = entry.partnership_id
    WHERE partner.slug = 'bench-partner' AND entry.sequence > %s
    ORDER BY entry.sequence LIMIT 100
) page
"""


def answer(environ: bare.Environ) -> bare.Answer:
    if environ["REQUEST_METHOD"] == "GET":
        after = int(parse_qs(environ["QUERY_STRING"])["after"][0])
        row = bare.connection().execute(PAGE, [after]).fetchone()
        assert row is not None
        return "200 OK", row[0].encode()
    event = json.loads(bare.body_of(environ))
    said = [event[name] for name in ("id", "user_id", "type", "occurred_at")]
    done = bare.connection().execute(STATEMENT, ["bare", *said, event.get("timezone", ""), "{}"])
    found = json.dumps({"accepted": done.rowcount, "duplicates": 1 - done.rowcount}).encode()
    return "202 Accepted", found


application = bare.application(answer)
