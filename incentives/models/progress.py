"""How far a member is: what the log adds up to, kept so that the next event is cheap."""

from django.db import models

from incentives.models.programmes import Incentive, Rule


class Progress(models.Model):
    """One user's state under one incentive's rule; it can always be recomputed from the log."""

    incentive = models.ForeignKey(Incentive, models.PROTECT, related_name="+", db_index=False)
    user_id = models.CharField(max_length=36)
    rule = models.ForeignKey(Rule, models.PROTECT, related_name="+", db_index=False)
    state = models.JSONField()
    # Occurrences that the state holds, whether or not cool-down and caps let them be awarded: a
    # large number that passes a small threshold passes it very often.
    reached = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    latest_at = models.DateTimeField()
    last_counted_on = models.DateField(null=True)

    class Meta:
        verbose_name_plural = "progress"
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "incentive"], name="incentives_progress_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incentive} of {self.user_id}"
