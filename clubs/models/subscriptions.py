"""Subscriptions and what was decided about them: approved tables, and what comes of them."""

from datetime import datetime

import pgtrigger
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now

from clubs import triggers
from clubs.models.clubs import Club
from clubs.models.histories import LONGEST_DETAILS, ChangeQuerySet

AUTOMATIC_RETURN = "Automatic return schedule"
LONGEST_ID = 36


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

    pk = models.CompositePrimaryKey("subscription_id", "starts_at")
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
            # Two who both missed the other's first decision collide here.
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
