"""Ids that sort by the moment they were made (RFC 9562); in the standard library from 3.14."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64
    return UUID(int=bits | 0b10 << 62 | secrets.randbits(62))
