"""Decimals that the database keeps as they came."""

from typing import Any

from django.db import models


class ExactDecimal(models.DecimalField):  # type: ignore[type-arg]
    """`numeric` without a scale: with one it rounds silently; here a check refuses."""

    def db_type(self, connection: Any) -> str:
        return "numeric"

    def cast_db_type(self, connection: Any) -> str:
        return "numeric"
