"""Instants as they arrive in a query string, where a plus may have become a blank."""

from datetime import UTC, datetime

import pytest
from rest_framework.exceptions import ValidationError

from common.query import instant


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00Z",
        "2026-01-01 00:00",
        "2026-01-01T02:00:00+02:00",
        "2026-01-01T02:00:00 02:00",
        "2026-01-01T02:00:00.000000 02:00",
        "2026-01-01t02:00 0200",
        "2026-01-01 02:00 02:00",
        "2025-12-31T21:00-03:00",
    ],
)
def test_a_blank_before_the_zone_is_a_plus(text):
    assert instant(text) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "2026-01-01",
        "2026-01-01 02:00:00 ",
        " 2026-01-01T02:00:00Z",
        "2026-01-01T02:00:00 Z",
        "2026-01-01T02:00:00  02:00",
        "2026-01-01T02:00:00 02:00 02:00",
        "2026-01-01T02: 00:00Z",
        "2026-01-01T 02:00:00Z",
        "2026 01-01T02:00:00Z",
        "2026-01-01T02:00:00 25:00",
    ],
)
def test_a_blank_elsewhere_is_none(text):
    with pytest.raises(ValidationError):
        instant(text)
