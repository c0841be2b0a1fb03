"""Accounts and the append-only entries that prove their balances."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

# Far below 2^63, so that a sum of balance and amount can never overflow.
LARGEST_BALANCE = 9 * 10**18
LARGEST_AMOUNT = 10**12


class AccountQuerySet(models.QuerySet["Account"]):
    def balance_of(self, user_id: str) -> int:
        """Coins; 0 for whoever was never seen, without a row for them."""
        return self.filter(pk=user_id).values_list("balance", flat=True).first() or 0


class Account(models.Model):
    """A user's balance: a cache of the sum of the entries, with a version that counts them."""

    user_id = models.CharField(max_length=36, primary_key=True)
    balance = models.BigIntegerField()
    version = models.BigIntegerField()

    objects = AccountQuerySet.as_manager()

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

    # Each index is a write for every posting: the unique constraints below serve these two keys.
    account = models.ForeignKey(Account, models.PROTECT, db_column="user_id", db_index=False)
    version = models.BigIntegerField()
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    counterparty = models.CharField(max_length=60)
    kind = models.CharField(max_length=50)
    reference = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    corrects = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, db_index=False, related_name="corrections"
    )
    owner = models.CharField(max_length=110)
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
            models.UniqueConstraint(
                fields=["corrects"],
                condition=Q(corrects__isnull=False),
                name="wallet_entry_corrected_once",
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
        return f"{self.amount:+,d} for {self.account_id} (#{self.version})"


class Adjustment(models.Model):
    """A correction by hand: asked for by one, above the limit approved by another."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        POSTED = "posted", "Posted"
        REJECTED = "rejected", "Rejected"

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
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("requested_by")),
                name="wallet_adjustment_four_eyes",
            ),
            # Up to the limit nobody decides: it is posted at once.
            models.CheckConstraint(
                condition=Q(state="waiting", decided_by__isnull=True, decided_at__isnull=True)
                | Q(state="posted", decided_at__isnull=False)
                | Q(state="rejected", decided_by__isnull=False, decided_at__isnull=False),
                name="wallet_adjustment_decision",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="decided_once",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__state="waiting"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount:+,d} for {self.user_id}"
