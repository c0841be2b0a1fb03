"""Taking a record back: with a new one that says so, once, on a bill that is still open."""

import hashlib
from datetime import datetime

from django.db import IntegrityError

from common.idempotency import KeyReused
from common.problems import NotFound, Problem
from usage.billing import period_of
from usage.metering import Recorded, constraint_of, look_up, write
from usage.models import UsageRecord

STAFF = ""  # no API key has this owner


class NotCorrectable(Problem):
    status, code, title = 409, "not-correctable", "This record is itself a correction"


class AlreadyCorrected(Problem):
    status, code, title = 409, "already-corrected", "This record was taken back before"


# The usage keeps its moment: the correction is on the bill of its month while that is open.
CORRECT = f"""
INSERT INTO usage_record (customer_id, service, units_consumed, price_per_unit, recorded_at, period,
                          owner, idempotency_key, fingerprint, corrects_id, reason, created_at)
SELECT customer_id, service, -units_consumed, price_per_unit, recorded_at,
       {period_of("recorded_at", "now")}, %(owner)s::varchar, %(key)s::varchar,
       %(fingerprint)s::bytea, id, %(reason)s::varchar, now
FROM usage_record, (SELECT %(now)s::timestamptz AS now) clock
WHERE id = %(id)s::bigint
ON CONFLICT (owner, idempotency_key) DO NOTHING
"""  # noqa: S608


def correct_record(*, id: int, owner: str, key: str, reason: str, now: datetime) -> Recorded:
    """Take the record back, once for each owner and key; staff may any, a team its own.

    Raises NotFound, NotCorrectable, AlreadyCorrected, KeyReused.
    """
    records = UsageRecord.objects.filter(pk=id)
    record = (records if owner == STAFF else records.filter(owner=owner)).first()
    if record is None:
        raise NotFound()
    if record.corrects_id is not None:
        raise NotCorrectable()
    mark = correction_mark(id, reason)
    arguments = {
        "id": id,
        "owner": owner,
        "key": key,
        "reason": reason,
        "fingerprint": mark,
        "now": now,
    }
    try:
        is_new = write(CORRECT, arguments)[0] == 1
    except IntegrityError as error:
        if constraint_of(error) != "usage_record_corrected_once":
            raise
        is_new = False
    found = look_up(owner, key, is_replay=not is_new)
    if found is None:
        raise AlreadyCorrected(correctionId=UsageRecord.objects.get(corrects=id).pk)
    fingerprint, recorded = found
    if fingerprint != mark:
        raise KeyReused()
    return recorded


def correction_mark(id: int, reason: str) -> bytes:
    return hashlib.sha256(f"correction\n{id}\n{reason}".encode()).digest()[:16]
