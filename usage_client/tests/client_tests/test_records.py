import json
import pickle
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from client_tests.samples import hosting
from usage_client import InvalidRecord, Usage, UsageClient, UsageError, WrongType
from usage_client.testing import UsageServer

NOON = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)


def body_of(**changes: Any) -> Any:
    return json.loads(Usage(**hosting(**changes)).body)


@pytest.mark.parametrize("value", [0.05, 58.0, float("nan"), True, False, None, b"1", [], 1j])
@pytest.mark.parametrize("field", ["units_consumed", "price_per_unit"])
def test_what_cannot_be_exact_is_refused_before_it_is_sent(
    client: UsageClient, server: UsageServer, field: str, value: object
) -> None:
    with pytest.raises(WrongType) as caught:
        client.record(**hosting(**{field: value}, idempotency_key="k"))
    assert isinstance(caught.value, (ValueError, TypeError))
    assert caught.value.field == field
    assert caught.value.idempotency_key == "k"
    assert caught.value.body == b""
    assert caught.value.outcome_known
    assert not server.requests


def test_a_float_is_told_what_to_be_instead() -> None:
    with pytest.raises(WrongType, match=r"Decimal\('0.05'\) or the text '0.05'"):
        Usage(**hosting(price_per_unit=0.05))


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "sNaN",
        "",
        " 1",
        "1 ",
        "1_000",
        "٣",
        "0x1",
        "1,5",
        "1.",
        ".5",
    ],
)
def test_text_that_is_no_plain_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(units_consumed=value))


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_decimal_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(units_consumed=Decimal(value)))


@pytest.mark.parametrize(
    "value",
    [
        "0.0000001",
        "1000000000000",
        "1e12",
        "1e-7",
        10**12,
        Decimal("1e999999"),
        Decimal("1e-999999"),
    ],
)
@pytest.mark.parametrize("field", ["units_consumed", "price_per_unit"])
def test_what_would_have_to_be_rounded_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(**{field: value}))


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("0.050", "0.05"),
        (Decimal("0.0500000000"), "0.05"),
        (58, "58"),
        ("1e3", "1000"),
        (Decimal("1E+3"), "1000"),
        ("+5", "5"),
        ("000.5", "0.5"),
        ("999999999999.999999", "999999999999.999999"),
        ("0.000001", "0.000001"),
    ],
)
def test_a_number_leaves_as_text_in_one_spelling(value: object, sent: str) -> None:
    assert body_of(units_consumed=value)["unitsConsumed"] == sent


def test_forty_digits_are_not_rounded_into_what_fits() -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(units_consumed="1.0000000000000000000000000000000000001"))


def test_units_are_more_than_nothing_and_a_price_may_be_nothing() -> None:
    for nothing in (0, "0", "0.000", Decimal("-0"), -1, "-0.5"):
        with pytest.raises(InvalidRecord):
            Usage(**hosting(units_consumed=nothing))
    assert body_of(price_per_unit="-0.0")["pricePerUnit"] == "0"
    with pytest.raises(InvalidRecord):
        Usage(**hosting(price_per_unit="-0.01"))


@pytest.mark.parametrize("value", [0, -1, 2**63, True, "123", 123.0, None])
def test_a_customer_is_a_positive_integer(value: object) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(customer_id=value))


@pytest.mark.parametrize("value", ["", "  ", "x" * 201, "a\0b", "\ud800", None, 5, b"x"])
def test_a_service_is_text_of_1_to_200_characters(value: object) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(service=value))


def test_a_service_is_trimmed_and_composed_as_the_service_does() -> None:
    assert body_of(service="  Cafe\u0301 ")["service"] == "Caf\u00e9"
    assert body_of(service="x" * 200 + " ")["service"] == "x" * 200


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (NOON, "2026-11-27T12:00:00Z"),
        (NOON.replace(tzinfo=None), "2026-11-27T12:00:00Z"),
        (NOON.astimezone(timezone(timedelta(hours=3))), "2026-11-27T12:00:00Z"),
        (NOON.replace(microsecond=1), "2026-11-27T12:00:00.000001Z"),
        ("2026-11-27T12:00Z", "2026-11-27T12:00:00Z"),
        ("2026-11-27 15:00:00.5+0300", "2026-11-27T12:00:00.500000Z"),
        ("2026-11-27t12:00:00z", "2026-11-27T12:00:00Z"),
    ],
)
def test_a_moment_leaves_in_utc_with_its_microseconds(given: object, sent: str) -> None:
    assert body_of(recorded_at=given)["recordedAt"] == sent


@pytest.mark.parametrize(
    "value",
    [
        date(2026, 11, 27),
        1764244800,
        "2026-11-27",
        "2026-13-01T00:00Z",
        "yesterday",
        "２026-11-27T12:00Z",
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_what_is_no_moment_is_refused(value: object) -> None:
    with pytest.raises(InvalidRecord):
        Usage(**hosting(recorded_at=value))


def test_no_time_given_is_no_time_sent() -> None:
    assert "recordedAt" not in body_of()


def test_a_record_cannot_be_changed_once_its_bytes_are_fixed() -> None:
    usage = Usage(**hosting())
    with pytest.raises(AttributeError):
        usage.units_consumed = Decimal(59)  # type: ignore[misc]


def test_a_record_survives_its_line_to_the_last_byte() -> None:
    usage = Usage(**hosting(recorded_at=NOON, service='Ünï "quoted" \\', identity="x"))
    again = Usage.from_line(usage.line)
    assert again == usage
    assert again.line == usage.line


def test_fields_may_be_spelt_as_on_the_wire_but_once() -> None:
    wire = {"customerId": 1, "service": "s", "unitsConsumed": "1", "pricePerUnit": "2"}
    assert Usage.of(wire).customer_id == 1
    with pytest.raises(InvalidRecord, match="given twice"):
        Usage.of({**wire, "customer_id": 1})
    with pytest.raises(InvalidRecord, match="no such field"):
        Usage.of({**wire, "colour": "red"})
    for name in wire:
        with pytest.raises(InvalidRecord, match="missing"):
            Usage.of({known: value for known, value in wire.items() if known != name})


def test_records_and_errors_cross_to_other_processes() -> None:
    usage = Usage(**hosting())
    again = pickle.loads(pickle.dumps(usage))  # noqa: S301 - our own
    assert (again, again.body) == (usage, usage.body)
    error = UsageError("lost", records=[usage], body=usage.body, outcome_known=False)
    found = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert found.idempotency_key == usage.idempotency_key
    assert found.body == usage.body
    assert not found.outcome_known
    assert str(found) == "lost"
