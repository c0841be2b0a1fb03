"""Decimals that the database keeps as they came."""

from typing import Any

from django.db import models


class ExactDecimal(models.DecimalField):  # type: ignore[type-arg]
    """`numeric` without a scale: one with a scale rounds silently, this one leaves it to a check."""

    def db_type(self, connection: Any) -> str:
        return "numeric"

    def cast_db_type(self, connection: Any) -> str:
        return "numeric"
