"""Venues, their benefits, who used them when, and what the uses of each week add up to."""

from datetime import UTC, datetime

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from benefits.recurrence import Recurrence

# What Python and ISO 8601 can say, with room for the longest recurrence after it.
EARLIEST, LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Venue(models.Model):
    name = models.CharField()

    class Meta:
        db_table = "venue"
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class Person(models.Model):
    name = models.CharField()

    class Meta:
        db_table = "person"
        ordering = ["id"]
        verbose_name_plural = "persons"

    def __str__(self) -> str:
        return self.name


class Benefit(models.Model):
    """Its recurrence, as it is now, also judges the uses there were before it was changed."""

    venue = models.ForeignKey(Venue, models.PROTECT, related_name="benefits")
    title = models.CharField()
    recurrence = models.CharField(choices=[(each.value, each.value) for each in Recurrence])
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "benefit"
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(recurrence__in=[each.value for each in Recurrence]),
                name="benefit_recurrence_known",
            ),
            models.CheckConstraint(
                condition=Q(created_at__gte=EARLIEST, created_at__lt=LATEST),
                name="benefit_created_at_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class BenefitUsage(models.Model):
    """One use. Rows may come from anywhere; triggers keep count of them."""

    person = models.ForeignKey(Person, models.PROTECT, db_index=False, related_name="usages")
    benefit = models.ForeignKey(Benefit, models.PROTECT, db_index=False, related_name="usages")
    usage_timestamp = models.DateTimeField()

    class Meta:
        db_table = "benefit_usage"
        permissions = [("reverse_use", "Can reverse a use")]
        # Each index is a write for every use: these two serve the foreign keys as well.
        indexes = [
            models.Index(
                fields=["person", "benefit", "usage_timestamp"], name="benefit_usage_of_person"
            ),
            models.Index(fields=["benefit", "usage_timestamp"], name="benefit_usage_of_benefit"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(usage_timestamp__gte=EARLIEST, usage_timestamp__lt=LATEST),
                name="benefit_usage_timestamp_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.benefit} by {self.person} at {self.usage_timestamp:%Y-%m-%d %H:%M}"


class Activity(models.Model):
    """How many uses of a benefit one week of UTC has; written by the database and the fold alone.

    The latest changes are not in it yet but in the table `benefits_change`, which has no model,
    for it has no key: every statement that writes uses appends what it changed in each week, and
    `activity.fold` adds that up. So writers never meet, and a back-dated use costs what any does.
    """

    pk = models.CompositePrimaryKey("starts_on", "benefit_id")
    starts_on = models.DateField()
    benefit = models.ForeignKey(
        Benefit, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="activity"
    )
    uses = models.IntegerField()

    class Meta:
        verbose_name_plural = "activity"

    def __str__(self) -> str:
        return f"{self.benefit_id}: {self.uses} in the week of {self.starts_on}"


class Reversal(models.Model):
    """The trace of a use that staff took back; the use itself is gone, so this says all of it.

    Ids and names instead of foreign keys: it outlives what it speaks of.
    """

    usage_id = models.BigIntegerField()
    person_id = models.BigIntegerField()
    person_name = models.CharField()
    benefit_id = models.BigIntegerField()
    benefit_title = models.CharField()
    venue_id = models.BigIntegerField()
    venue_name = models.CharField()
    usage_timestamp = models.DateTimeField()
    reason = models.CharField(max_length=500)
    reversed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reversed_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="benefits_reversal_has_reason"),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            # Row triggers do not see TRUNCATE.
            pgtrigger.Trigger(
                name="never_emptied",
                when=pgtrigger.Before,
                operation=pgtrigger.Truncate,
                level=pgtrigger.Statement,
                func="RAISE EXCEPTION 'Cannot truncate %: reversals stay', TG_TABLE_NAME;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.benefit_title} by {self.person_name}"
