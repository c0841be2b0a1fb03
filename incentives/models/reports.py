"""What employers are shown: a quarter's figures, worked out once."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from incentives.models.people import Employer


class EmployerReport(models.Model):
    """One employer's closed quarter as it was shown first.

    It is never worked out again: the difference between two versions could be one person.
    """

    employer = models.ForeignKey(Employer, models.PROTECT, related_name="reports", db_index=False)
    quarter = models.DateField("first day of the quarter")
    # Suppressed already: what is hidden is not in here.
    figures = models.JSONField()
    made_at = models.DateTimeField(db_default=Now())
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        ordering = ["-quarter", "employer"]
        constraints = [
            models.UniqueConstraint(fields=["employer", "quarter"], name="incentives_report_once"),
        ]
        triggers = [
            pgtrigger.Protect(name="final", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.employer} Q{(self.quarter.month + 2) // 3} {self.quarter.year}"
