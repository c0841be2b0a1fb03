"""What the two histories share: of all decisions until an instant the latest holds."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F

LONGEST_DETAILS = 256


class ChangeQuerySet(models.QuerySet[Any]):
    def until(self, at: datetime) -> "ChangeQuerySet":
        """What was in effect by then, the one that holds first."""
        created = F("create_date").desc(nulls_last=True)
        return self.filter(effect_date__lte=at).order_by("-effect_date", created, "-id")

    def in_order(self) -> "ChangeQuerySet":
        """All that has an instant; of two with the same the one that holds last."""
        created = F("create_date").asc(nulls_first=True)
        return self.exclude(effect_date=None).order_by("effect_date", created, "id")
