"""What a query may ask of records and bills."""

import re
from collections.abc import Mapping
from datetime import date

from common.idempotency import VISIBLE_ASCII
from common.identity import LARGEST_BIGINT
from common.problems import InvalidInput, fault
from usage.metering import UnknownCustomer
from usage.models import Customer
from usage.reading import read_month


def key_in_query(given: Mapping[str, str], name: str) -> str | None:
    key = given.get(name)
    if key is not None and not VISIBLE_ASCII.fullmatch(key):
        raise InvalidInput(fault(f"/{name}", "invalid", "1 to 200 visible ASCII characters."))
    return key


def customer_in(given: Mapping[str, str]) -> int | None:
    """Raises InvalidInput, or UnknownCustomer."""
    text = given.get("customerId")
    if text is None:
        return None
    if not re.fullmatch(r"0*[1-9][0-9]{0,999}", text, re.ASCII):
        raise InvalidInput(fault("/customerId", "invalid", "A positive integer."))
    customer_id = int(text)
    if customer_id > LARGEST_BIGINT or not Customer.objects.filter(pk=customer_id).exists():
        raise UnknownCustomer()
    return customer_id


def month_in(given: Mapping[str, str]) -> date | None:
    text = given.get("period")
    if text is None:
        return None
    try:
        return read_month(text)
    except ValueError:
        raise InvalidInput(fault("/period", "invalid", "A month: YYYY-MM.")) from None
