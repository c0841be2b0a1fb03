"""What was earned: achievements, and the append-only history of their states."""

import uuid

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from incentives.models.programmes import Incentive, Rule

HAND_OVER = """
INSERT INTO incentives_handover (achievement_id, programme_id)
SELECT NEW.id, programme_id FROM incentives_incentive WHERE id = NEW.incentive_id;
RETURN NULL;
"""


class AchievementQuerySet(models.QuerySet["Achievement"]):
    def of(self, user_id: str) -> "AchievementQuerySet":
        """What the member sees: all but what no budget was left for."""
        return self.filter(user_id=user_id).exclude(status=Achievement.Status.CAPPED)

    def with_why(self) -> "AchievementQuerySet":
        """With all that explains them."""
        return self.select_related("incentive__programme", "rule").prefetch_related("changes")


class Achievement(models.Model):
    """The n-th award of an incentive to a user; as it stands now, the history tells how so."""

    class Status(models.TextChoices):
        # Nobody outside sees this one: the budget or a cap was exhausted.
        CAPPED = "capped", "Capped"
        GRANTED = "granted", "Granted"
        PENDING_CONSENT = "pending_consent", "Waits for consent"
        RELEASED = "released", "Released to the partner"
        FULFILLED = "fulfilled", "Fulfilled"
        REJECTED = "rejected", "Rejected by the partner"
        REVERSED = "reversed", "Reversed"

    # Random: partners see it, and it must not tell when or how many.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incentive = models.ForeignKey(Incentive, models.PROTECT, related_name="achievements")
    rule = models.ForeignKey(Rule, models.PROTECT, related_name="+", db_index=False)
    user_id = models.CharField(max_length=36)
    # The occurrences are numbered in the order of time: what makes an award happen once.
    ordinal = models.PositiveIntegerField()
    status = models.CharField(max_length=15, choices=Status.choices)
    # Counts the history's entries.
    version = models.PositiveIntegerField()
    achieved_at = models.DateTimeField()
    effective_on = models.DateField()
    granted_at = models.DateTimeField()
    # The local days that counted.
    days = models.JSONField()
    # None: not asked, or not answered yet.
    consent = models.BooleanField(null=True)
    # The log no longer says so, but it cannot be taken back without a person's decision.
    needs_review = models.BooleanField(default=False, db_default=False)
    # Somebody decided that the member keeps it nevertheless.
    is_kept = models.BooleanField(default=False, db_default=False)
    # As the rule said when it was granted.
    reward = models.CharField(max_length=200)
    reward_code = models.CharField(max_length=40, blank=True, default="")
    coins = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=2, default=0)

    objects = AchievementQuerySet.as_manager()

    class Meta:
        ordering = ["-granted_at", "-id"]
        permissions = [("settle_achievement", "Can settle reversals, and grant what was capped")]
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "incentive", "ordinal"],
                name="incentives_achievement_once_per_occurrence",
            ),
            models.CheckConstraint(
                condition=Q(ordinal__gte=1, version__gte=1),
                name="incentives_achievement_counts_from_one",
            ),
        ]
        indexes = [
            models.Index(
                fields=["user_id", "-granted_at", "-id"], name="incentives_achievement_user"
            ),
            models.Index(fields=["-granted_at", "-id"], name="incentives_achievement_latest"),
            models.Index(
                fields=["id"],
                condition=Q(needs_review=True),
                name="incentives_achievement_review",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="keeps_its_place",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("id", "incentive", "user_id", "ordinal"),
            ),
            # Whoever writes it, its partner hears of it: see incentives/partners/feed.py.
            pgtrigger.Trigger(
                name="hands_over",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                condition=~pgtrigger.Q(new__reward_code=""),
                func=HAND_OVER,
            ),
            pgtrigger.Trigger(
                name="hands_over_again",
                when=pgtrigger.After,
                operation=pgtrigger.UpdateOf("status", "version"),  # type: ignore[no-untyped-call]
                condition=~pgtrigger.Q(old__reward_code="", new__reward_code=""),
                func=HAND_OVER,
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_standing(self) -> bool:
        """The log says so, as far as anybody knows."""
        return self.status != self.Status.REVERSED and not self.needs_review and not self.is_kept


class AchievementChange(models.Model):
    """One step of an achievement's life: the status it took, when, by whom and why."""

    achievement = models.ForeignKey(
        Achievement, models.PROTECT, related_name="changes", db_index=False
    )
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=15, choices=Achievement.Status.choices)
    # What this step posted to the member's wallet.
    coins = models.IntegerField(default=0, db_default=0)
    at = models.DateTimeField(db_default=Now())
    # `rules`, `member`, `partner:<slug>` or `staff:<name>`.
    by = models.CharField(max_length=200)
    note = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        ordering = ["achievement", "version"]
        constraints = [
            models.UniqueConstraint(
                fields=["achievement", "version"], name="incentives_change_version_unique"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.achievement_id} v{self.version}: {self.status}"


# Still on its way: what these stand at can be taken back without anybody's harm.
OPEN = frozenset(
    {
        Achievement.Status.GRANTED,
        Achievement.Status.PENDING_CONSENT,
        Achievement.Status.RELEASED,
    }
)
