"""What is promised: programmes of employers, their incentives, and each one's rule in versions."""

import pgtrigger
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from incentives.models.people import Employer

MOST_PER_MEMBER = 1000
OPAQUE_CODE = r"^[A-Z0-9][A-Z0-9-]{3,39}\Z"
REWARD_CODE = RegexValidator(OPAQUE_CODE, "4 to 40 of A-Z, 0-9 and -, such as RW-7Q2K.")


class ProgrammeQuerySet(models.QuerySet["Programme"]):
    def running(self) -> "ProgrammeQuerySet":
        """Those that were published; dates are looked at for each event."""
        return self.filter(published_at__isnull=False)

    def get_by_natural_key(self, slug: str) -> "Programme":
        return self.get(slug=slug)


class Programme(models.Model):
    """One employer's offer for some time; both of its days are included and local."""

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    employer = models.ForeignKey(Employer, models.PROTECT, related_name="programmes")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The last day; empty is open.")
    currency = models.CharField(max_length=3, default="USD", db_default="USD")
    budget = models.DecimalField(
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="What all awards together may cost; empty is without limit.",
    )
    spent = models.DecimalField(
        max_digits=14, decimal_places=2, default=0, db_default=0, editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, editable=False)

    objects = ProgrammeQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        permissions = [("publish_programme", "Can publish programmes and rules")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on=None) | Q(ends_on__gte=F("starts_on")),
                name="incentives_programme_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(spent__gte=0), name="incentives_programme_spent_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def natural_key(self) -> tuple[str]:
        return (self.slug,)

    @property
    def is_published(self) -> bool:
        return self.published_at is not None


class Incentive(models.Model):
    """One thing that a programme rewards."""

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="incentives")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    is_sensitive = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Nothing of it is released before the member consents.",
    )
    # Counted here, so that a cap on them is one conditional update.
    awarded = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        ordering = ["programme", "slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "slug"], name="incentives_incentive_slug_unique"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="stays_sensitive",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__is_sensitive=True, new__is_sensitive=False),
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        if self.pk and not self.is_sensitive:
            stored = type(self).objects.filter(pk=self.pk, is_sensitive=True)
            if stored.exists():
                raise ValidationError(
                    {"is_sensitive": "What was sensitive stays so: members were promised that."}
                )


class Rule(models.Model):
    """One version of an incentive's rule and reward; published, it never changes again."""

    class Repeat(models.TextChoices):
        ONCE = "once", "Once for each member"
        EVERY = "every", "Every time it is achieved"

    class LocalDay(models.TextChoices):
        EVENT = "event", "The event's zone, else the member's, else the employer's"
        MEMBER = "member", "The member's zone, else the employer's"
        EMPLOYER = "employer", "The employer's zone"

    incentive = models.ForeignKey(Incentive, models.PROTECT, related_name="rules", db_index=False)
    number = models.PositiveIntegerField()
    # As incentives/structures/ reads it.
    structure = models.JSONField()
    repeat = models.CharField(
        max_length=5, choices=Repeat.choices, default=Repeat.ONCE, db_default=Repeat.ONCE
    )
    cool_down_days = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Local days from one award to the next."
    )
    max_per_member = models.PositiveIntegerField(
        default=1, db_default=1, help_text=f"Awards for one member, up to {MOST_PER_MEMBER:,}."
    )
    max_awards = models.PositiveIntegerField(
        null=True, blank=True, help_text="Awards for all members; empty is without limit."
    )
    local_day = models.CharField(
        max_length=8, choices=LocalDay.choices, default=LocalDay.EVENT, db_default=LocalDay.EVENT
    )
    reward = models.CharField(max_length=200, help_text="What the member is told it is.")
    reward_code = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        validators=[REWARD_CODE],
        help_text="What a partner is told: a code that gives nothing away. Empty: no partner.",
    )
    coins = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Coins for the member's wallet."
    )
    cost = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default=0,
        db_default=0,
        validators=[MinValueValidator(0)],
        help_text="What one award costs the employer.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["incentive", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["incentive", "number"], name="incentives_rule_number_unique"
            ),
            models.UniqueConstraint(
                fields=["incentive"],
                condition=Q(published_at=None),
                name="incentives_rule_one_draft",
            ),
            models.CheckConstraint(
                condition=Q(max_per_member__gte=1, max_per_member__lte=MOST_PER_MEMBER),
                name="incentives_rule_max_per_member",
            ),
            models.CheckConstraint(
                condition=~Q(repeat="once") | Q(max_per_member=1),
                name="incentives_rule_once_is_one",
            ),
            models.CheckConstraint(
                condition=Q(reward_code="") | Q(coins=0), name="incentives_rule_one_kind_of_reward"
            ),
            models.CheckConstraint(
                condition=Q(reward_code="") | Q(reward_code__regex=OPAQUE_CODE),
                name="incentives_rule_reward_code_opaque",
            ),
            models.CheckConstraint(condition=Q(cost__gte=0), name="incentives_rule_cost"),
            models.CheckConstraint(
                condition=Q(coins__lte=10**9), name="incentives_rule_coins_in_bounds"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="published_is_final",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__published_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incentive} v{self.number}"

    @property
    def is_published(self) -> bool:
        return self.published_at is not None
