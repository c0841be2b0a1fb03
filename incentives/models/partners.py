"""Outside partners: their members' pseudonyms, and their feeds."""

import uuid

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from incentives.models.achievements import Achievement
from incentives.models.programmes import OPAQUE_CODE, Programme


class PartnerManager(models.Manager["Partner"]):
    def get_by_natural_key(self, slug: str) -> "Partner":
        return self.get(slug=slug)


class Partner(models.Model):
    """Whoever hands rewards out; it calls with API keys whose owner is its slug."""

    slug = models.SlugField(
        max_length=100, unique=True, help_text="The owner of its API keys, exactly."
    )
    name = models.CharField(max_length=200)
    # Counts the feed's entries. The next number is given with this row locked until it is
    # committed, so none is ever seen before a smaller one.
    last_sequence = models.BigIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PartnerManager()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_sequence__gte=0), name="incentives_partner_sequence"
            ),
        ]
        triggers = [
            # Keys name it, and its partner has numbers from us.
            pgtrigger.Protect(
                name="keeps_its_name",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("slug"),
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def natural_key(self) -> tuple[str]:
        return (self.slug,)


class Partnership(models.Model):
    """A programme's partner, for ever: what is told to one is never told to the next.

    `reference` is what the partner knows the programme by.
    """

    programme = models.OneToOneField(Programme, models.PROTECT, related_name="partnership")
    partner = models.ForeignKey(Partner, models.PROTECT, related_name="partnerships")
    reference = models.SlugField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        unique=True,
        help_text="What the partner calls it; empty is its slug. It must not tell what it is for.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["programme"]
        constraints = [
            # Also what keeps a spreadsheet from taking it for a formula.
            models.CheckConstraint(
                condition=Q(reference__regex=r"^[A-Za-z0-9_][A-Za-z0-9_-]*\Z"),
                name="incentives_partnership_reference",
                violation_error_message="A reference does not begin with a dash.",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="stays", operation=pgtrigger.Update),
            # In the database, so that a row of plain SQL has one too.
            pgtrigger.Trigger(
                name="is_called_by_its_slug",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Q(new__reference=""),
                func="""
                SELECT slug INTO NEW.reference FROM incentives_programme
                WHERE id = NEW.programme_id;
                RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.programme} with {self.partner}"

    def clean(self) -> None:
        if self.programme_id and not self.reference:
            self.reference = self.programme.slug


class PartnerMember(models.Model):
    """The name that one partner knows a user by: random, so that nobody can work it out."""

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="members", db_index=False)
    user_id = models.CharField(max_length=36)
    pseudonym = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "partner"], name="incentives_partnermember_once"
            ),
        ]
        triggers = [
            # Erasing a person takes the user id out and leaves what the partner knows.
            pgtrigger.Protect(
                name="keeps_its_pseudonym",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("partner", "pseudonym"),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pseudonym)


class Handover(models.Model):
    """An achievement that a partner may have to be told about; a trigger writes it.

    What is not yet done and nothing else: rows vanish in the transaction that publishes them. Those
    of a programme without a partner wait for one.
    """

    achievement = models.ForeignKey(
        Achievement, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    programme = models.ForeignKey(
        Programme, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    since = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["programme", "id"], name="incentives_handover_next")]

    def __str__(self) -> str:
        return str(self.achievement_id)


class FeedEntry(models.Model):
    """One line of a partner's feed; pull, webhooks and CSV all tell exactly this."""

    class Status(models.TextChoices):
        GRANTED = "granted", "Granted"
        REVERSED = "reversed", "Reversed"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="feed", db_index=False)
    sequence = models.BigIntegerField()
    achievement = models.ForeignKey(
        Achievement, models.PROTECT, related_name="feed", db_index=False
    )
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices)
    partnership = models.ForeignKey(Partnership, models.PROTECT, related_name="+", db_index=False)
    member = models.ForeignKey(PartnerMember, models.PROTECT, related_name="+", db_index=False)
    reward_code = models.CharField(max_length=40)
    effective_on = models.DateField()
    published_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "feed entries"
        ordering = ["partner", "sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "sequence"], name="incentives_feed_sequence_unique"
            ),
            models.UniqueConstraint(
                fields=["achievement", "version"], name="incentives_feed_version_unique"
            ),
            models.CheckConstraint(
                condition=Q(sequence__gte=1, version__gte=1), name="incentives_feed_from_one"
            ),
            # What is told first is a grant, and then grant and reversal take turns.
            models.CheckConstraint(
                condition=Q(status="granted") | Q(version__gte=2),
                name="incentives_feed_begins_with_grant",
            ),
            # Also what keeps a spreadsheet from taking it for a formula.
            models.CheckConstraint(
                condition=Q(reward_code__regex=OPAQUE_CODE),
                name="incentives_feed_reward_code_opaque",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.partner} #{self.sequence}"
