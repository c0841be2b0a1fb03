"""Numbers and records, read strictly: what is taken is exact, what is not is named."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.problems import InvalidInput
from usage.metering import as_money, as_units
from usage.reading import Unfit, Usage, read_decimal
from usage.tests.conftest import usage

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def outcome(read, *arguments):
    """What it reads, or why it does not."""
    try:
        return read(*arguments)
    except Unfit as unfit:
        return unfit.code
    except InvalidInput as refusal:
        return refusal.extra


wholes = st.integers(0, 10**12 - 1)
millionths = st.integers(0, 10**6 - 1)


@given(wholes, millionths, st.integers(0, 20))
def test_a_number_within_the_limits_is_taken_exactly_however_it_is_spelt(whole, millionth, zeros):
    exact = whole + Fraction(millionth, 10**6)
    plain = f"{whole}.{millionth:06}{'0' * zeros}"
    shifted = f"{whole}{millionth:06}e-6".lstrip("0")
    shifted = f"0{shifted}" if shifted.startswith("e") else shifted
    for value in [plain, Decimal(plain), shifted, Decimal(shifted)]:
        text = read_decimal(value)
        assert Fraction(text) == exact
        assert text == as_units(Decimal(text)) == as_units(Decimal(plain))
        assert "e" not in text.lower()


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_number_is_exact_or_refused(number):
    try:
        assert Decimal(read_decimal(number)) == number
    except Unfit as unfit:
        too_large = unfit.code == "too-large" and abs(number) >= 10**12
        too_precise = unfit.code == "too-precise" and (Fraction(number) * 10**6).denominator > 1
        assert too_large or too_precise


@given(st.text())
def test_any_text_is_a_number_or_refused(text):
    found = outcome(read_decimal, text)
    if found not in ("invalid", "too-large", "too-precise", "out-of-range"):
        assert Decimal(found) == Decimal(text)
        assert text.isascii()
        assert text == text.strip()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_nothing_else_is_a_number(value):
    if not isinstance(value, str):
        with pytest.raises(Unfit):
            read_decimal(value)


@pytest.mark.parametrize(
    ("number", "money", "units"),
    [
        ("9.5", "9.50", "9.5"),
        ("9.50", "9.50", "9.5"),
        ("1E+3", "1000.00", "1000"),
        ("0", "0.00", "0"),
        ("0.000000000000", "0.00", "0"),
        ("-2.900", "-2.90", "-2.9"),
        ("0.000001", "0.000001", "0.000001"),
        ("100", "100.00", "100"),
    ],
)
def test_numbers_are_shown_exactly(number, money, units):
    assert as_money(Decimal(number)) == money
    assert as_units(Decimal(number)) == units


keyed = usage(idempotencyKey="k1")


def test_the_fingerprint_tells_fields_apart():
    one = Usage("k", 1, "2\n3", "4", "5", None)
    for other in [
        Usage("k", 12, "3", "4", "5", None),
        Usage("k", 1, "3", "4", "5", None),
        Usage("k", 1, "2\n3", "5", "4", None),
        Usage("k", 1, "2\n3", "4", "5", NOW),
    ]:
        assert other.fingerprint != one.fingerprint
    assert replace(one, key="other").fingerprint == one.fingerprint
    assert len(one.fingerprint) == 16
