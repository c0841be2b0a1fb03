"""Half up, as people round; Python itself goes to the even digit. No Django, no database."""

from decimal import Decimal
from fractions import Fraction
from math import floor


def half_up(value: Fraction, places: int) -> Decimal:
    """`value` (not negative) with this many decimals, exactly: `half_up(1/8, 2)` is 0.13."""
    return Decimal(floor(value * 10**places + Fraction(1, 2))).scaleb(-places)
