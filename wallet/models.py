"""Accounts and the append-only entries that prove their balances."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Far below 2^63, so that a sum of balance and amount can never overflow.
LARGEST_BALANCE = 9 * 10**18
LARGEST_AMOUNT = 10**12


class Account(models.Model):
    """A user's balance: a cache of the sum of the entries, with a version that counts them."""

    user_id = models.CharField(max_length=36, primary_key=True)
    balance = models.BigIntegerField()
    version = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(balance__gte=0, balance__lte=LARGEST_BALANCE),
                name="wallet_account_balance_in_bounds",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="wallet_account_has_entries"),
        ]

    def __str__(self) -> str:
        return self.user_id


class Entry(models.Model):
    """One posting: `amount` moves between the user's account and its counterparty.

    Both sides stand in one row, so a posting is balanced by its shape; the counterparty has no
    balance row that every posting would have to lock.
    """

    account = models.ForeignKey(Account, models.PROTECT, db_column="user_id")
    version = models.BigIntegerField()
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    counterparty = models.CharField(max_length=50)
    kind = models.CharField(max_length=50)
    reference = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    corrects = models.OneToOneField("self", models.PROTECT, null=True, blank=True)
    owner = models.CharField(max_length=100)
    idempotency_key = models.CharField(max_length=200)
    fingerprint = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "version"], name="wallet_entry_version_unique"
            ),
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"], name="wallet_entry_key_unique"
            ),
            models.CheckConstraint(
                condition=~Q(amount=0) & Q(amount__gte=-LARGEST_AMOUNT, amount__lte=LARGEST_AMOUNT),
                name="wallet_entry_amount_in_bounds",
            ),
            models.CheckConstraint(
                condition=Q(balance_after__gte=0, version__gte=1), name="wallet_entry_not_negative"
            ),
        ]
        indexes = [models.Index(fields=["reference", "kind"], name="wallet_entry_reference")]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            # Row triggers do not see TRUNCATE.
            pgtrigger.Trigger(
                name="never_emptied",
                when=pgtrigger.Before,
                operation=pgtrigger.Truncate,
                level=pgtrigger.Statement,
                func="RAISE EXCEPTION 'Cannot truncate %: entries stay for ever', TG_TABLE_NAME;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} #{self.version}: {self.amount:+d}"


class Adjustment(models.Model):
    """A correction by hand: asked for by one, above the limit approved by another."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits for a second pair of eyes"
        POSTED = "posted", "posted"
        REJECTED = "rejected", "rejected"

    # Made with the empty form: the same form sent twice is one adjustment.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.CharField(max_length=36)
    amount = models.BigIntegerField(help_text="Coins; negative takes them away.")
    reason = models.CharField(max_length=500)
    corrects = models.ForeignKey(
        Entry,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The entry that this one makes good, if there is one.",
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False
    )
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, editable=False
    )
    decided_at = models.DateTimeField(null=True, editable=False)
    entry = models.OneToOneField(
        Entry, models.PROTECT, null=True, editable=False, related_name="adjustment"
    )

    class Meta:
        ordering = ["-requested_at"]
        permissions = [
            ("adjust_balance", "Can ask for an adjustment, and post one up to the limit"),
            ("approve_adjustment", "Can decide on another's adjustment above the limit"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(amount=0) & Q(amount__gte=-LARGEST_AMOUNT, amount__lte=LARGEST_AMOUNT),
                name="wallet_adjustment_amount_in_bounds",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="wallet_adjustment_has_reason"),
            models.CheckConstraint(
                condition=Q(state="posted", entry__isnull=False)
                | (~Q(state="posted") & Q(entry__isnull=True)),
                name="wallet_adjustment_posted_has_entry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.amount:+d}"
