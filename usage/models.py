"""Customers, what they used, and the bills that follow from it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Exists, F, Func, OuterRef, Q
from django.db.models.functions import Cast, Now, Round

from usage import billing
from usage.fields import ExactDecimal

DIGITS_BEFORE_POINT = 12
DECIMAL_PLACES = 6
LONGEST_SERVICE = 200
# The largest there is: 12 digits before the point and 6 after it.
LARGEST = Decimal(10) ** DIGITS_BEFORE_POINT - Decimal(10) ** -DECIMAL_PLACES


def first_of_month(moment: datetime) -> date:
    return moment.astimezone(UTC).date().replace(day=1)


def month_text(month: date) -> str:
    return f"{month.year:04}-{month.month:02}"


class Customer(models.Model):
    name = models.CharField(max_length=200)

    class Meta:
        db_table = "customer"
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(id__gte=1), name="customer_id_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class Closing(models.Model):
    """Months that were closed, with all their bills, there and yet to come."""

    first_month = models.DateField()
    last_month = models.DateField()
    closed_at = models.DateTimeField(db_default=Now())
    closed_by = models.CharField(max_length=150, db_default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    first_month__day=1, last_month__day=1, last_month__gte=F("first_month")
                ),
                name="usage_closing_whole_months",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="for_ever", operation=pgtrigger.Update | pgtrigger.Delete),
            billing.never_emptied(),
        ]

    def __str__(self) -> str:
        if self.first_month == self.last_month:
            return month_text(self.last_month)
        return f"up to {month_text(self.last_month)}"


class BillQuerySet(models.QuerySet["Bill"]):
    def with_status(self) -> "BillQuerySet":
        """Each with `is_closed`."""
        period = OuterRef("period")
        closed = Closing.objects.filter(first_month__lte=period, last_month__gte=period)
        return self.annotate(is_closed=Exists(closed))

    def with_warnings(self) -> "BillQuerySet":
        """Each with `has_two_prices`: one service on it at several prices."""
        found = models.BooleanField()
        return self.annotate(
            has_two_prices=Func("pk", function="usage_has_two_prices", output_field=found)
        )


class Bill(models.Model):
    """A customer's month as it is now: what was folded into it, and its records since.

    A view. The records are the truth, all this a cache of them, kept right by the database.
    """

    customer = models.ForeignKey(Customer, models.DO_NOTHING, related_name="bills")
    period = models.DateField(help_text="The first day of its month (UTC).")
    total = ExactDecimal(max_digits=40, decimal_places=2 * DECIMAL_PLACES)
    currency = models.CharField(max_length=3)

    objects = BillQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "usage_bill"
        ordering = ["-period", "customer_id"]
        permissions = [("close_bill", "Can close months")]

    def __str__(self) -> str:
        return f"{self.customer}, {month_text(self.period)}"


class BillLine(models.Model):
    """What one service at one price adds to a bill, as it is now; a view as well."""

    pk = models.CompositePrimaryKey("bill_id", "service", "price_per_unit")
    bill = models.ForeignKey(Bill, models.DO_NOTHING, related_name="lines")
    service = models.CharField(max_length=LONGEST_SERVICE)
    price_per_unit = ExactDecimal(max_digits=18, decimal_places=DECIMAL_PLACES)
    units_consumed = ExactDecimal(max_digits=40, decimal_places=DECIMAL_PLACES)
    amount = ExactDecimal(max_digits=40, decimal_places=2 * DECIMAL_PLACES)
    records = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "usage_billline"
        ordering = ["bill_id", "service", "price_per_unit"]

    def __str__(self) -> str:
        return f"{self.service} at {self.price_per_unit.normalize():f}"


class FoldedBill(models.Model):
    """A bill without its records since it was folded last. It is there from its first record.

    Folded are those of all turns up to `folded_to`, but for those that were `under_way` then.
    """

    customer = models.ForeignKey(Customer, models.PROTECT, db_index=False, related_name="+")
    period = models.DateField()
    total = ExactDecimal(max_digits=40, decimal_places=2 * DECIMAL_PLACES, db_default=0)
    currency = models.CharField(max_length=3, db_default="USD")
    folded_to = models.BigIntegerField(db_default=0)
    under_way = ArrayField(models.BigIntegerField(), db_default=[])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "period"], name="usage_bill_unique"),
            models.CheckConstraint(condition=Q(period__day=1), name="usage_bill_whole_month"),
        ]
        default_permissions = ()
        triggers = [billing.written_by_records_only("usage_foldedbill"), billing.never_emptied()]

    def __str__(self) -> str:
        return f"{self.customer}, {month_text(self.period)}"


class FoldedLine(models.Model):
    """What was folded into one of its lines."""

    bill = models.ForeignKey(FoldedBill, models.PROTECT, db_index=False, related_name="+")
    service = models.CharField(max_length=LONGEST_SERVICE, db_collation="C")
    price_per_unit = ExactDecimal(max_digits=18, decimal_places=DECIMAL_PLACES)
    units_consumed = ExactDecimal(max_digits=40, decimal_places=DECIMAL_PLACES)
    amount = ExactDecimal(max_digits=40, decimal_places=2 * DECIMAL_PLACES)
    records = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bill", "service", "price_per_unit"], name="usage_billline_unique"
            ),
        ]
        default_permissions = ()
        triggers = [billing.written_by_records_only("usage_foldedline"), billing.never_emptied()]

    def __str__(self) -> str:
        return f"{self.service} at {self.price_per_unit.normalize():f}"


class UsageRecordManager(models.Manager["UsageRecord"]):
    def get_by_natural_key(self, owner: str, idempotency_key: str) -> "UsageRecord":
        """So that a fixture loaded again finds its rows, whatever numbers they got."""
        return self.get(owner=owner, idempotency_key=idempotency_key)


class UsageRecord(models.Model):
    """What a team reported once, for ever; a correction is another record that takes one back.

    Owner and key are unique over all time. The customer is held by the bill, which the database
    makes with the record: a reference of its own would cost a look-up for each row.
    """

    customer = models.ForeignKey(
        Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="records"
    )
    service = models.CharField(max_length=LONGEST_SERVICE, db_collation="C")
    units_consumed = ExactDecimal(max_digits=18, decimal_places=DECIMAL_PLACES)
    price_per_unit = ExactDecimal(max_digits=18, decimal_places=DECIMAL_PLACES)
    amount = models.GeneratedField(
        expression=F("units_consumed") * F("price_per_unit"),
        output_field=ExactDecimal(max_digits=36, decimal_places=2 * DECIMAL_PLACES),
        db_persist=True,
    )
    recorded_at = models.DateTimeField(db_default=Now())
    # Chosen by the database where it is left out.
    period = models.DateField(blank=True)
    # A team, which is the owner of an API key; nobody's is ours.
    owner = models.CharField(max_length=100, db_default="", blank=True)
    idempotency_key = models.CharField(
        max_length=200,
        db_collation="C",
        db_default=Cast(RandomUUID(), models.CharField(max_length=200)),
    )
    # Of what was asked for; empty where nobody asked through the API.
    fingerprint = models.BinaryField(max_length=16, null=True)
    # A trigger looks the other one up, and records stay for ever.
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="corrections",
    )
    reason = models.CharField(max_length=500, db_default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    # Of the transaction that it came with; 0 is before all of them.
    turn = models.BigIntegerField(db_default=billing.CURRENT_TURN, editable=False, serialize=False)

    objects = UsageRecordManager()

    class Meta:
        db_table = "usage_record"
        verbose_name = "record"
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"], name="usage_record_key_unique"
            ),
            models.UniqueConstraint(
                fields=["corrects"],
                condition=Q(corrects__isnull=False),
                name="usage_record_corrected_once",
            ),
            # Not a number is greater than all of them.
            models.CheckConstraint(
                condition=Q(
                    corrects__isnull=True, units_consumed__gt=0, units_consumed__lte=LARGEST
                )
                | Q(corrects__isnull=False, units_consumed__lt=0, units_consumed__gte=-LARGEST),
                name="usage_record_units_in_bounds",
            ),
            models.CheckConstraint(
                condition=Q(price_per_unit__gte=0, price_per_unit__lte=LARGEST),
                name="usage_record_price_in_bounds",
            ),
            models.CheckConstraint(
                condition=Q(
                    units_consumed=Round("units_consumed", DECIMAL_PLACES),
                    price_per_unit=Round("price_per_unit", DECIMAL_PLACES),
                ),
                name="usage_record_at_most_6_places",
            ),
            # That the service is trimmed NFC text, the migration adds: Django has no words for it.
            models.CheckConstraint(condition=~Q(idempotency_key=""), name="usage_record_has_key"),
        ]
        indexes = [
            models.Index(fields=["customer", "period", "turn"], name="usage_record_of_bill"),
            BrinIndex(fields=["turn"], name="usage_record_by_turn", autosummarize=True),
        ]
        permissions = [("correct_usagerecord", "Can take a record back")]
        triggers = [
            billing.TAKE_TURN,
            billing.CHOOSE_PERIOD,
            billing.EXPECT_REVERSAL,
            billing.OPEN_BILLS,
            billing.STAY_AS_IT_IS,
            pgtrigger.Protect(name="stay", operation=pgtrigger.Delete),
            billing.never_emptied(),
        ]

    def __str__(self) -> str:
        return f"{self.service} for customer {self.customer_id} (#{self.pk})"

    def natural_key(self) -> tuple[str, str]:
        return self.owner, self.idempotency_key

    @property
    def late_for(self) -> date | None:
        """The closed month that it belongs to, when it is on a later bill."""
        month = first_of_month(self.recorded_at)
        return month if month < self.period else None
