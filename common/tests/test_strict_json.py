"""JSON at its word: what is none, and what is but no field can take, named by its place."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from common.parsers import DEEPEST, LARGEST_EXPONENT, MOST_FAULTS, parse_json
from common.problems import InvalidInput, MalformedJSON
from conftest import ALICE

ECHO, TAKE = "/api/v1/border/echo/", "/api/v1/border/take/"
LIMIT = 5 * 1024 * 1024
urls = pytest.mark.urls("common.tests.border")


def faults(body):
    with pytest.raises(InvalidInput) as raised:
        parse_json(body)
    return [(each["pointer"], each["code"]) for each in raised.value.extra["errors"]]


def place(body):
    with pytest.raises(MalformedJSON) as raised:
        parse_json(body)
    line, column = raised.value.extra["line"], raised.value.extra["column"]
    assert f"line {line} column {column}" in raised.value.detail
    return line, column


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc/~ü"), inner),
)


@given(JSON, st.booleans())
def test_what_is_json_is_read_as_it_is(value, ascii_only):
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12)))
def test_decimals_are_exact(number):
    assert parse_json(f'{{"n": {number:f}}}'.encode())["n"] == number


def test_a_decimal_keeps_what_a_float_would_lose():
    assert parse_json(b"[0.1, 1e2, 0.30000000000000004]") == [
        Decimal("0.1"),
        Decimal("100"),
        Decimal("0.30000000000000004"),
    ]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", (1, 1)),
        (b"  ", (1, 3)),
        (b"{", (1, 2)),
        (b'{"a": 1,}', (1, 9)),
        (b'{"a": 1\n,\n"b": tru}', (3, 6)),
        (b"{'a': 1}", (1, 2)),
        (b'{"a": 01}', (1, 8)),
        (b'{"a": .5}', (1, 7)),
        (b'{"a": 0x10}', (1, 8)),
        (b'{"a": +1}', (1, 7)),
        (b'{"a": 1} {"b": 2}', (1, 10)),
        (b'{"a": 1}\x00', (1, 9)),
        (b'{"a": NaN}', (1, 7)),
        (b'{"NaN": -Infinity}', (1, 9)),
        (b'{"a": "\\"Infinity",\n "b": Infinity}', (2, 7)),
        (b'{"a": "\x00"}', (1, 8)),
        (b'{"a": "\n"}', (1, 8)),
        (b'{"a": "\\x00"}', (1, 8)),
        (b"\xef\xbb\xbf{}", (1, 1)),
        ("{}".encode("utf-16"), (1, 1)),
        (b'{"a":\n "\xff"}', (2, 3)),
        (b'{"a": "\xed\xa0\x80"}', (1, 8)),
        (b'{"a": "\xc0\x80"}', (1, 8)),
        ('{"a": １}'.encode(), (1, 7)),
        ('{"a": ١}'.encode(), (1, 7)),
        (b"a=1&b=2", (1, 1)),
    ],
)
def test_what_does_not_parse_is_refused_with_line_and_column(body, where):
    assert place(body) == where


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a": 1, "a": 1}', [("/a", "duplicate-key")]),
        (b'{"x": [{"a/b": 1, "~": 2, "a/b": 2, "~": 3}]}', None),
        (b'{"a": "x\\u0000y"}', [("/a", "nul")]),
        (b'{"a": {"x\\u0000": 1}}', [("/a/x\x00", "nul")]),
        (b'{"a": [0, "\\ud800"]}', [("/a/1", "surrogate")]),
        (b'{"a": "\\uDC00\\uD800"}', [("/a", "surrogate")]),
        (b'{"\\udfff": 1}', [("/?", "surrogate")]),
        (b'{"a": 1e309, "b": -1E+999}', [("/a", "too-large"), ("/b", "too-large")]),
        (b'{"a": 1.8e308, "b": -1e400}', [("/a", "too-large"), ("/b", "too-large")]),
        (b'{"a": 1' + b"0" * 309 + b"}", [("/a", "too-large")]),
        (b'{"a": 1e99999999999999999999}', [("/a", "too-large")]),
        (b'{"a": 0e999999999}', [("/a", "too-large")]),
        (b'{"a": 1e-999}', [("/a", "too-large")]),
        (b'{"a": ' + b"9" * 500 + b"}", [("/a", "too-large")]),
        (b'{"a": 0.' + b"9" * 500 + b"}", [("/a", "too-large")]),
        (b'{"a": ' + b"9" * 500_000 + b"}", [("/a", "too-large")]),
        (b'"\\u0000"', [("", "nul")]),
        (b"9" * 500, [("", "too-large")]),
    ],
)
def test_what_no_field_can_take_is_refused_by_name(body, found):
    found = found or [("/x/0/a~1b", "duplicate-key"), ("/x/0/~0", "duplicate-key")]
    assert faults(body) == found


def test_what_only_looks_like_it_is_taken():
    assert parse_json(b'{"a": "\\\\u0000 \\ud83d\\ude00 NaN", "A": 1}') == {
        "a": "\\u0000 😀 NaN",
        "A": 1,
    }
    digits = "9" * LARGEST_EXPONENT
    assert parse_json(digits.encode()) == int(digits)
    assert parse_json(b"0." + b"0" * 300 + b"7") == Decimal("7e-301")
    assert parse_json(f"1e{LARGEST_EXPONENT}".encode()) == Decimal(f"1e{LARGEST_EXPONENT}")


def test_a_repeated_name_deep_inside_does_not_hide_what_is_no_json():
    assert place(b'{"a": 1, "a": 2, }') == (1, 18)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 100_000])
def test_nesting_ends_somewhere(opening, depth):
    closing = b"]" if opening == b"[" else b"}"
    assert parse_json(opening * DEEPEST + b"1" + closing * DEEPEST)
    assert place(opening * depth + b"1" + closing * depth) == (1, len(opening) * DEEPEST + 1)
    assert place(opening * depth) == place(opening * depth)


def test_brackets_in_text_are_no_nesting():
    assert parse_json(b'["' + b"[" * 1000 + b'\\"", ' + b"[]," * 1000 + b"1]")[0]


def test_a_body_of_nothing_but_faults_is_refused_with_the_first_of_them():
    assert len(faults(b"[" + b'"\\u0000",' * 400_000 + b"1]")) == MOST_FAULTS


def test_many_names_are_compared_once():
    # Each with each, these would take hours.
    names = b",".join(b'"n%d":1' % number for number in range(300_000))
    assert faults(b"{" + names + b',"n7":1}') == [("/n7", "duplicate-key")]


# Through a view


def post(body, path=ECHO, content_type="application/json", **extra):
    client = APIClient(headers={"x-zmrn-user-id": ALICE})
    return client.generic("POST", path, body, content_type=content_type, **extra)


@urls
@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ('{"number": true}', "/number", "invalid"),
        ('{"number": "5"}', "/number", "invalid"),
        ('{"number": "５"}', "/number", "invalid"),
        ('{"number": 5.0}', "/number", "invalid"),
        ('{"number": 1e308}', "/number", "invalid"),
        ('{"number": 1e309}', "/number", "too-large"),
        (f'{{"number": {"9" * 500}}}', "/number", "too-large"),
        (f'{{"number": {"9" * 300}}}', "/number", "max-value"),
        ('{"number": 1000000000001}', "/number", "max-value"),
        ('{"number": null}', "/number", "null"),
        ('{"number": []}', "/number", "invalid"),
        ('{"text": 5}', "/text", "invalid"),
        ('{"text": true}', "/text", "invalid"),
        ('{"text": {}}', "/text", "invalid"),
        ('{"text": ""}', "/text", "blank"),
        (f'{{"text": "{"x" * 101}"}}', "/text", "max-length"),
        ('{"text": "\\u0000"}', "/text", "nul"),
        ('{"user": 5}', "/user", "invalid"),
        ('{"user": "0"}', "/user", "user-id"),
        ('{"at": 1700000000}', "/at", "invalid"),
        ('{"at": "2026-13-01T00:00:00Z"}', "/at", "invalid"),
        ('{"at": "2026-02-30T00:00:00Z"}', "/at", "invalid"),
        ('{"at": "2026-01-01"}', "/at", "invalid"),
        ('{"at": "２０２６-01-01T00:00:00Z"}', "/at", "invalid"),
        ('{"at": "0001-01-01T00:00:00+23:59"}', "/at", "invalid"),
        ('{"inner": 5}', "/inner", "invalid"),
        ('{"inner": []}', "/inner", "invalid"),
        ('{"inner": {}}', "/inner/number", "required"),
        ('{"inner": {"number": 1, "a/b~": 2}}', "/inner/a~1b~0", "unknown-field"),
        ('{"several": {"number": 1}}', "/several", "not-a-list"),
        ('{"several": [{"number": 1}, {"number": true}]}', "/several/1/number", "invalid"),
        ('{"several": [{"number": 1}, 5]}', "/several/1", "invalid"),
        ('{"nubmer": 5}', "/nubmer", "unknown-field"),
        ('{"Number": 5}', "/Number", "unknown-field"),
        ('{"": 5}', "/", "unknown-field"),
        ('{"number": 5, "number": 5}', "/number", "duplicate-key"),
        ("[]", "", "invalid"),
        ('[{"number": 5}]', "", "invalid"),
        ('"text"', "", "invalid"),
        ("5", "", "invalid"),
        ("true", "", "invalid"),
        ("null", "", "null"),
    ],
)
def test_bad_input_is_400_and_names_the_field(body, pointer, code):
    response = post(body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:problem:invalid-input"
    (found,) = problem["errors"]
    assert (found["pointer"], found["code"]) == (pointer, code)


@urls
def test_malformed_json_is_400_with_its_place():
    problem = post('{"number":\n 5,}').json()
    assert problem["status"] == 400
    assert problem["type"] == "urn:problem:malformed-json"
    assert (problem["line"], problem["column"]) == (2, 4)


@urls
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
        ("2026-11-20t12:00:00z", "2026-11-20T12:00:00Z"),
        ("2026-11-20 12:00", "2026-11-20T12:00:00Z"),
        ("2026-11-20T12:00:00.123456", "2026-11-20T12:00:00.123456Z"),
        ("2026-11-20T12:00:00.1+05:30", "2026-11-20T06:30:00.100000Z"),
        ("2026-11-20T12:00:00-0800", "2026-11-20T20:00:00Z"),
    ],
)
def test_a_time_without_zone_is_utc_and_microseconds_stay(given, stored):
    assert post(json.dumps({"at": given})).json() == {"at": stored}


@urls
def test_a_user_id_is_stored_canonical():
    assert post(json.dumps({"user": ALICE.upper()})).json() == {"user": ALICE}


@urls
@pytest.mark.parametrize("body", ["", "{}"])
def test_a_call_without_a_body_takes_none_and_an_empty_one(body):
    assert post(body, TAKE).status_code == 200


@urls
@pytest.mark.parametrize("body", ['{"a": 1}', "[]", "[1]", "null", "{", "  "])
def test_a_call_without_a_body_takes_no_other(body):
    assert post(body, TAKE).status_code == 400


@urls
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json ; version=1",
    ],
)
def test_json_may_be_announced_in_many_ways(content_type):
    assert post('{"number": 5}', content_type=content_type).json() == {"number": 5}


@urls
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/jsonx",
        "application/json; charset=latin-1",
        "application/json; a=b; charset=utf-16",
        "nonsense",
        "\x00",
    ],
)
@pytest.mark.parametrize("path", [ECHO, TAKE])
def test_anything_else_than_json_is_415(content_type, path):
    response = post('{"number": 5}', path, content_type=content_type)
    assert response.status_code == 415
    assert response.json()["type"] == "urn:problem:unsupported-media-type"


@urls
def test_a_packed_body_is_415():
    assert post("{}", HTTP_CONTENT_ENCODING="gzip").status_code == 415
    assert post("{}", HTTP_CONTENT_ENCODING="identity").status_code == 200


@urls
@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", "multipart/x"])
def test_no_body_needs_no_type(content_type):
    assert post("", TAKE, content_type=content_type).status_code == 200


@urls
@pytest.mark.parametrize("path", [ECHO, TAKE])
def test_over_five_mebibytes_is_413(path):
    response = post(b"{}" + b" " * (LIMIT - 1), path)
    assert response.status_code == 413
    assert response.json()["type"] == "urn:problem:too-large"
    assert post(b"{}" + b" " * (LIMIT - 2), path).status_code == 200


@urls
def test_a_body_on_a_call_that_reads_none_changes_nothing():
    client = APIClient(headers={"x-zmrn-user-id": ALICE})
    response = client.generic("GET", ECHO, "{", content_type="text/plain")
    assert response.json() == {"user": ALICE}
