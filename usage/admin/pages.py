"""What the pages share: numbers for people."""

from decimal import Decimal

from usage.metering import as_money, as_units


def money(number: Decimal) -> str:
    """For people: 1,234,567.89, with as many decimals as there are and at least two."""
    return f"{Decimal(as_money(number)):,f}"


def units(number: Decimal) -> str:
    return f"{Decimal(as_units(number)):,f}"
