"""Clubs, and whether they are open: approved tables, which others write to as well."""

from datetime import datetime

from django.db import models
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now

from clubs import triggers
from clubs.models.histories import LONGEST_DETAILS, ChangeQuerySet


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
