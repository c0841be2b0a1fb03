"""The swift way to read a batch takes what is fit and leaves all else to the strict one."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.parsers import decode_json
from usage.parsers import read_swiftly
from usage.reading import known_service, read_usage
from usage.tests.conftest import usage

NOW = datetime(2026, 11, 28, tzinfo=UTC)
KEYED = usage(idempotencyKey="k1")


def batch(*records):
    return json.dumps({"records": records}).encode()


def swiftly(body):
    return read_swiftly(body, NOW)


def strictly(body):
    value, _ = decode_json(body)
    return [read_usage(each, now=NOW) for each in value["records"]]


FIT = [
    batch(),
    batch(KEYED, {**KEYED, "idempotencyKey": "k2"}),
    batch(usage(idempotencyKey="k1", recordedAt="2026-11-27T10:00:00Z")),
    batch(usage(idempotencyKey="k1", service=" \t Ünï: \n/")),
    json.dumps(
        {"records": [usage(idempotencyKey="k:1", service="a: b")]}, ensure_ascii=False
    ).encode(),
    batch(usage(idempotencyKey="k" * 200, service='":"')),
    batch(usage(idempotencyKey="k1", unitsConsumed=7, pricePerUnit="1e-3")),
    batch(KEYED).replace(b'"service":', b'"service"\n\t:'),
    b'{"records": [{"customerId": 1, "service": "s", "unitsConsumed": 12345678901.123456,'
    b' "pricePerUnit": 0.100, "idempotencyKey": "k"}]}',
]
FOR_THE_STRICT_WAY = [
    batch({**KEYED, "x": 1}),
    batch({name: value for name, value in KEYED.items() if name != "idempotencyKey"}),
    batch(KEYED, []),
    batch(usage(idempotencyKey="k1", recordedAt=None)),
    batch(usage(idempotencyKey="k1", recordedAt="2026-11-28T00:05:01Z")),
    batch(usage(idempotencyKey="a b")),
    batch(usage(idempotencyKey="k\n")),
    batch(usage(idempotencyKey="")),
    batch(usage(idempotencyKey="k" * 201)),
    batch(usage(idempotencyKey="kü")),
    batch(usage(idempotencyKey="k1", service="\0")),
    batch(usage(idempotencyKey="k1", service="\ud800")),
    batch(usage(idempotencyKey="k1", service="")),
    batch(usage(idempotencyKey="k1", unitsConsumed=True)),
    batch(usage(idempotencyKey="k1", unitsConsumed=[[[1]]])),
    batch(usage(idempotencyKey="k1", unitsConsumed=10**400)),
    *(
        batch({**KEYED, "customerId": value})
        for value in (0, -1, 2**63, 1.0, "1", True, None, [], 1e400)
    ),
    batch(KEYED).replace(b'"service":', b'"service": "s", "service":'),
    # What stands apart from its colon does not make up for what is there twice.
    batch(KEYED)
    .replace(b'"service":', b'"service": "s", "service":')
    .replace(b'"customerId":', b'"customerId" :'),
    batch(KEYED)
    .replace(b'"service": "', b'"service": ": ')
    .replace(b'"customerId":', b'"customerId" : 1, "customerId" :'),
    # Nor does a colon that is written otherwise.
    batch(KEYED).replace(b'"service": "', rb'"service": "s", "service": "\u003A'),
    b'{"records": [], "records": []}',
    b'{"records": [], "x": 1}',
    b'{"records": {}}',
    b'{"records": []} x',
    b'{"records": [',
    b"[]",
    b"{}",
    b"",
    b"\xef\xbb\xbf" + batch(KEYED),
    batch(KEYED).replace(b"k1", b"k\xff"),
    batch(KEYED).replace(b"k1", b"k\x00"),
    *(
        batch(usage(idempotencyKey="k1", unitsConsumed="?")).replace(b'"?"', number)
        for number in (
            b"NaN", b"-1", b"01", b"1.", b"+1", b"1e400", b"0e-999999", b"0.%s" % (b"0" * 500),
            b"0.0000001", b"[" * 100_000,
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("body", FIT)
def test_what_is_fit_is_read_as_the_strict_way_reads_it(body):
    found = swiftly(body)
    assert found is not None
    assert found == strictly(body)


@pytest.mark.parametrize("body", FOR_THE_STRICT_WAY)
def test_what_needs_a_closer_look_is_left_to_the_strict_way(body):
    assert swiftly(body) is None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from(
                [KEYED.get(name), "", " s ", 0, -1, None, True, [], {}, 1, 1.5, "1e3", "0x1"]
            )
            for name in [*KEYED, "recordedAt", "x"]
        },
    )
)
def test_the_swift_way_takes_nothing_that_the_strict_one_refuses(record):
    found = swiftly(batch(record))
    assert found is None or found == strictly(batch(record))


def test_text_with_a_megabyte_of_space_around_it_is_read_and_not_remembered():
    body = batch({**KEYED, "service": f"{' ' * 1_000_000}s"})
    before = known_service.cache_info().currsize
    assert swiftly(body) is None
    assert strictly(body)[0].service == "s"
    assert known_service.cache_info().currsize == before
