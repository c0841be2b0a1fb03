"""Clubs, subscriptions and their histories (the approved tables), and what comes of them."""

from datetime import datetime
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Now

from clubs import triggers

AUTOMATIC_RETURN = "Automatic return schedule"
LONGEST_ID = 36
LONGEST_DETAILS = 256


class ClubStatus(models.Model):
    ACTIVE, CLOSED, INACTIVE = 1, 2, 3
    NAMES = {ACTIVE: "active", CLOSED: "closed", INACTIVE: "inactive"}

    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=50)

    class Meta:
        db_table = "club_status"
        verbose_name_plural = "club statuses"

    def __str__(self) -> str:
        return self.name


class ClubQuerySet(models.QuerySet["Club"]):
    def with_status(self, *, at: datetime) -> "ClubQuerySet":
        """Each with its `status_id_now`, None without any decision until then."""
        decisions = ClubStatusChange.objects.until(at).filter(club=OuterRef("pk"))
        return self.annotate(status_id_now=Subquery(decisions.values("club_status_id")[:1]))


class Club(models.Model):
    name = models.CharField(max_length=255)
    # Columns that the approved tables leave open may be NULL in rows that others wrote.
    store_sku = models.CharField(  # noqa: DJ001
        "store SKU",
        max_length=100,
        null=True,
        blank=True,
        help_text="What the shop is asked to send.",
    )

    objects = ClubQuerySet.as_manager()

    class Meta:
        db_table = "club"
        ordering = ["name", "id"]
        triggers = [triggers.pass_ids()]

    def __str__(self) -> str:
        return self.name


class ChangeQuerySet(models.QuerySet[Any]):
    def until(self, at: datetime) -> "ChangeQuerySet":
        """What was in effect by then, the one that holds first."""
        created = F("create_date").desc(nulls_last=True)
        return self.filter(effect_date__lte=at).order_by("-effect_date", created, "-id")


class ClubStatusChange(models.Model):
    """One decision about a club. The latest in effect holds; without effect_date it never does."""

    club = models.ForeignKey(Club, models.PROTECT, related_name="history", db_index=False)
    club_status = models.ForeignKey(ClubStatus, models.PROTECT, related_name="+", db_index=False)
    effect_date = models.DateTimeField(null=True, blank=True)
    create_date = models.DateTimeField(null=True, blank=True, db_default=Now())
    details = models.CharField(max_length=LONGEST_DETAILS, null=True, blank=True)  # noqa: DJ001

    objects = ChangeQuerySet.as_manager()

    class Meta:
        db_table = "club_status_history"
        indexes = [models.Index(fields=["club", "effect_date"], name="club_history_by_date")]
        triggers = [
            *triggers.on_change("lock_clubs", "clubs_lock_clubs", "club_id", "bigint"),
            triggers.pass_ids(),
        ]

    def __str__(self) -> str:
        return f"{self.club_status_id} from {self.effect_date}"


class Status(models.Model):
    ACTIVE, CANCELLED, PAUSED = 1, 2, 3
    NAMES = {ACTIVE: "active", CANCELLED: "cancelled", PAUSED: "paused"}

    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=50)

    class Meta:
        db_table = "status"
        verbose_name_plural = "statuses"

    def __str__(self) -> str:
        return self.name


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def with_status(self, *, at: datetime) -> "SubscriptionQuerySet":
        """Each with its `status_id_now`, None without any decision until then."""
        periods = Period.objects.filter(subscription=OuterRef("pk")).covering(at)
        return self.annotate(status_id_now=Subquery(periods.values("status_id")[:1]))


class Subscription(models.Model):
    """A customer's place in a club, one for ever; whether it counts is a matter of its history."""

    # Text as it came: the ids of the shop are no canonical UUIDs. Compared byte for byte, so that
    # their order is the same in every database.
    id = models.CharField(max_length=LONGEST_ID, primary_key=True, db_collation="C")
    club = models.ForeignKey(Club, models.PROTECT, related_name="subscriptions", db_index=False)
    customer_store_id = models.CharField("customer", max_length=LONGEST_ID)
    create_date = models.DateTimeField(db_default=Now())

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        db_table = "subscription"
        constraints = [
            models.UniqueConstraint(
                fields=["club", "customer_store_id"], name="subscription_once_per_club"
            ),
            # The eligible list is put together as text.
            models.CheckConstraint(
                condition=~Q(id__regex=r'["\\[:cntrl:]]'), name="subscription_id_is_plain"
            ),
        ]
        indexes = [
            models.Index(fields=["customer_store_id"], name="subscription_by_customer"),
            models.Index(fields=["create_date"], name="subscription_by_date"),
        ]
        triggers = [
            triggers.after(
                "periods_of_new",
                pgtrigger.Insert,
                "PERFORM clubs_refresh_periods(array(SELECT id FROM new_rows WHERE EXISTS "
                "(SELECT FROM subscription_status_history WHERE subscription_id = new_rows.id)));",
            ),
            triggers.after(
                "periods_of_moved",
                pgtrigger.Update,
                "PERFORM clubs_refresh_periods(array(SELECT id FROM new_rows "
                "JOIN old_rows USING (id) WHERE new_rows.club_id <> old_rows.club_id));",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class StatusChange(models.Model):
    """One decision about a subscription, or the return that a pause planned."""

    subscription = models.ForeignKey(
        Subscription, models.PROTECT, related_name="history", db_index=False
    )
    status = models.ForeignKey(Status, models.PROTECT, related_name="+", db_index=False)
    effect_date = models.DateTimeField(null=True, blank=True)
    create_date = models.DateTimeField(null=True, blank=True, db_default=Now())
    details = models.CharField(max_length=LONGEST_DETAILS, null=True, blank=True)  # noqa: DJ001

    objects = ChangeQuerySet.as_manager()

    class Meta:
        db_table = "subscription_status_history"
        indexes = [
            models.Index(
                fields=["subscription", "effect_date"], name="subscription_history_by_date"
            ),
            models.Index(fields=["effect_date"], name="subscription_history_months"),
        ]
        triggers = [
            *triggers.on_change("periods", "clubs_refresh_periods", "subscription_id", "varchar"),
            triggers.on_truncate("periods_after_truncate", "DELETE FROM clubs_period;"),
            triggers.pass_ids(),
        ]

    def __str__(self) -> str:
        return f"{self.status_id} from {self.effect_date}"

    @property
    def is_automatic_return(self) -> bool:
        return self.status_id == Status.ACTIVE and self.details == AUTOMATIC_RETURN


class PeriodQuerySet(models.QuerySet["Period"]):
    def covering(self, at: datetime) -> "PeriodQuerySet":
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at)


class Period(models.Model):
    """From when until when a subscription has a status, by its history: kept right by triggers.

    A row of the history says only from when. With the end beside it, who is eligible at an instant
    is one pass over one index, without a sort and without a job for what is planned.
    """

    subscription = models.ForeignKey(
        Subscription, models.DO_NOTHING, related_name="periods", db_constraint=False, db_index=False
    )
    club = models.ForeignKey(
        Club, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    status = models.ForeignKey(
        Status, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)

    objects = PeriodQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "starts_at"], name="clubs_period_starts_once"
            ),
            # Two who both missed the other's decision collide here.
            models.UniqueConstraint(
                fields=["subscription"],
                condition=Q(ends_at=None),
                name="clubs_period_one_is_open",
            ),
        ]
        indexes = [
            models.Index(
                fields=["subscription"],
                include=["club", "starts_at", "ends_at"],
                condition=Q(status=Status.ACTIVE),
                name="clubs_period_active",
            )
        ]

    def __str__(self) -> str:
        return f"{self.status_id} from {self.starts_at} to {self.ends_at}"


class RemovedChange(models.Model):
    """A planned change that a later decision removed from the history, as it stood there."""

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="removed_changes")
    change_id = models.BigIntegerField()
    status = models.ForeignKey(Status, models.PROTECT, related_name="+", db_index=False)
    effect_date = models.DateTimeField()
    create_date = models.DateTimeField(null=True)
    details = models.CharField(max_length=LONGEST_DETAILS, null=True, blank=True)  # noqa: DJ001
    removed_at = models.DateTimeField()
    removed_by_id = models.BigIntegerField(help_text="The decision in the history.")

    class Meta:
        triggers = [pgtrigger.Protect(name="kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.status_id} from {self.effect_date}"


class ChargeQuerySet(models.QuerySet["Charge"]):
    def holding_month(self) -> "ChargeQuerySet":
        return self.exclude(state=Charge.State.FAILED)

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
    # While claimed: until then the one who claimed it may still answer.
    look_again_at = models.DateTimeField(null=True)
    # Whether an earlier attempt may have placed the order; then a refusal proves little.
    is_in_doubt = models.BooleanField(default=False)
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
