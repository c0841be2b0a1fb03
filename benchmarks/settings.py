"""The product's settings on a database of its own, with the peers that are measured beside it."""

import moneyed

from config.settings import *  # noqa: F403
from config.settings import DATABASES, INSTALLED_APPS

DATABASES["default"]["NAME"] = "accrue_bench"

# django-hordak wants its currency known before it starts.
moneyed.add_currency(code="QCN", numeric=None, name="Quiz coin")
DEFAULT_CURRENCY = "QCN"
CURRENCIES = ("QCN", "EUR")
HORDAK_CURRENCIES = ["QCN", "EUR"]
HORDAK_INTERNAL_CURRENCY = "EUR"
HORDAK_DECIMAL_PLACES = 0
INSTALLED_APPS = [*INSTALLED_APPS, "mptt", "hordak"]
