"""The swift way to read a body takes what is plain and leaves all else to the strict one."""

import json

import pytest

from common.parsers import decode_json
from usage.parsers import decode_plain

PLAIN = [
    '{"customerId": 1, "service": "s", "unitsConsumed": 0.10, "pricePerUnit": "0.05"}',
    '{"records": [{"a": 1, "b": 2.50}, {"a": "é", "b": null}]}',
    '{"records" : [ {"a"\n:\t1 , "b" :2} ] }',
    '{"recordedAt": "2026-11-28T10:00:00Z", "service": "a: b"}',
    '{"service": "\\u00fc \\n \\/"}',
    '{"records": []}',
]
NOT_PLAIN = [
    '{"a": 1, "a": 1}',
    '{"records": [{"a": 1, "a": 2}]}',
    '{"records": [{"a": 1, "a": 2, "b": 3}, {"b": 4}]}',
    '{"records": [], "records": [{"a": 1}]}',
    # What is no name makes up for a name that stands apart from its colon.
    '{"a" : 1, "a": 2, "service": ":"}',
    '{"a"\n: 1, "a"\n: 2, "service": ": x", "t": "10:00"}',
    '{"service": "\\":", "service": "x"}',
    '{"a": {"b": 1, "b": 2}}',
    '{"records": [{"a": [{"b": 1, "b": 2}]}]}',
    '{"service": "\\u0000"}',
    '{"service": "\\ud800"}',
    '{"a": NaN}',
    '{"a": 1e400}',
    '{"a": 0e-999999}',
    f'{{"a": {"1" * 5000}}}',
    f'{{"a": 0.{"0" * 500}}}',
    '{"a": 1} x',
    '{"a": 1',
    "[]",
    '"x"',
    "",
    f'{{"a": {"[" * 60}{"]" * 60}}}',
    f'{{"records": {"[" * 100_000}',
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_plain_is_read_as_the_strict_way_reads_it(text):
    found = decode_plain(text.encode())
    assert found is not None
    assert (found, False) == decode_json(text.encode())
    assert json.dumps(found, default=str) == json.dumps(decode_json(text.encode())[0], default=str)


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_needs_a_closer_look_is_left_to_the_strict_way(text):
    assert decode_plain(text.encode()) is None


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"\xef\xbb\xbf{}", b'{"a": "\x00"}'])
def test_bytes_that_are_no_text_are_left_to_the_strict_way(body):
    assert decode_plain(body) is None
