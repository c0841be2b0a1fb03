"""Charges: the claim on a month, what happened to it, and the runs over everybody."""

from datetime import datetime

import pgtrigger
from django.db import models
from django.db.models import Q

from clubs.models.subscriptions import LONGEST_ID, Subscription


class ChargeQuerySet(models.QuerySet["Charge"]):
    def due(self, *, now: datetime) -> "ChargeQuerySet":
        """What nobody knows the outcome of, and when it is time to ask again."""
        open_states = [Charge.State.CLAIMED, Charge.State.UNKNOWN]
        return self.filter(state__in=open_states, look_again_at__lte=now).order_by("look_again_at")


class Charge(models.Model):
    """The claim on one month of a subscription, and what became of it."""

    class State(models.TextChoices):
        CLAIMED = "claimed", "Under way"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="charges")
    period = models.DateField(help_text="The first day of the month in the billing time zone.")
    request_id = models.CharField(max_length=64, unique=True)
    # Sent again as it was sent first, whatever became of the club meanwhile.
    customer_id = models.CharField(max_length=LONGEST_ID)
    sku_id = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CLAIMED)
    order = models.JSONField(null=True, help_text="What the shop answered.")
    attempts = models.PositiveIntegerField(default=1)
    # In a row, until an answer about the order; each makes the next wait longer.
    silent_attempts = models.IntegerField(default=0, db_default=0)
    # While claimed: until then the one who claimed it may still answer.
    look_again_at = models.DateTimeField(null=True)
    # Whether an earlier attempt may have placed the order; then a refusal proves little.
    is_in_doubt = models.BooleanField(default=False)
    # Whether it failed while the shop served others: then the same run does not ask again.
    is_declined = models.BooleanField(default=False, db_default=False)
    claimed_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    objects = ChargeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "period"],
                condition=~Q(state="failed"),
                name="clubs_charge_once_a_month",
            ),
            models.CheckConstraint(
                condition=Q(period__day=1), name="clubs_charge_period_is_a_month"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["claimed", "unknown"], look_again_at__isnull=False)
                | Q(state__in=["succeeded", "failed"], settled_at__isnull=False),
                name="clubs_charge_is_settled_or_looked_at",
            ),
        ]
        indexes = [
            models.Index(fields=["period", "state"], name="clubs_charge_by_month"),
            models.Index(
                fields=["look_again_at"],
                condition=Q(state__in=["claimed", "unknown"]),
                name="clubs_charge_to_look_at",
            ),
        ]
        permissions = [("settle_charge", "Can settle a charge of unknown outcome")]
        triggers = [
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="success_is_final",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__state="succeeded"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} in {self.month}"

    @property
    def month(self) -> str:
        return f"{self.period:%Y-%m}"


class ChargeEvent(models.Model):
    """What happened to a charge, one after the other: who called, and what came back."""

    charge = models.ForeignKey(Charge, models.PROTECT, related_name="events")
    at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=Charge.State.choices)
    reason = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150)

    class Meta:
        triggers = [pgtrigger.Protect(name="kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.state} at {self.at}"


class ChargeRun(models.Model):
    """Charging everybody for a month: how far the worker is, and with what success."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        STOPPED = "stopped", "Stopped"

    period = models.DateField()
    as_of = models.DateTimeField(help_text="Eligible then, and still when it is their turn.")
    rate = models.FloatField(help_text="Calls to the shop in a second, at most.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    reason = models.CharField(max_length=500, blank=True)
    cursor = models.CharField(max_length=LONGEST_ID, blank=True, db_collation="C")
    total = models.PositiveIntegerField()
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    passed_over = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["period"],
                condition=Q(state="running"),
                name="clubs_run_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period:%Y-%m}, begun {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def done(self) -> int:
        return self.succeeded + self.failed + self.unknown + self.passed_over
