"""The webhooks that tell partners: where to, with which secrets, and what became of each."""

import uuid

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from incentives.models.partners import FeedEntry, Partner


class WebhookEndpoint(models.Model):
    """Where a partner wants to be told at once."""

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        # What there is to tell is kept, until somebody switches it on again.
        DISABLED = "disabled", "Disabled"
        RETIRED = "retired", "Retired"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="endpoints")
    url = models.CharField("address", max_length=500)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.ACTIVE, editable=False
    )
    reason = models.CharField(max_length=200, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # While it fails, it is asked ever less often.
    failures = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["partner", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "url"],
                condition=~Q(state="retired"),
                name="incentives_endpoint_once",
                violation_error_message="This partner has an endpoint with this address.",
            ),
        ]
        triggers = [pgtrigger.Protect(name="kept", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.partner}: {self.url}"


class EndpointSecret(models.Model):
    """A salt that makes, with SECRET_KEY, what an endpoint's messages are signed with."""

    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="secrets")
    salt = models.BinaryField(max_length=16)
    fingerprint = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    # Empty for the newest; those before go on signing beside it until then.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint"],
                condition=Q(expires_at=None),
                name="incentives_secret_one_newest",
            ),
        ]

    def __str__(self) -> str:
        return f"secret {self.pk}"


class Delivery(models.Model):
    """One feed entry on its way to one endpoint; its id is the `webhook-id`, however often sent."""

    class State(models.TextChoices):
        PENDING = "pending", "On its way"
        DELIVERED = "delivered", "Delivered"
        DEAD = "dead", "Dead letter"
        DROPPED = "dropped", "Dropped with its endpoint"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, models.PROTECT, related_name="deliveries", db_index=False
    )
    entry = models.ForeignKey(FeedEntry, models.PROTECT, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    # Since it was last set on its way, by us or by a replay.
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        permissions = [("replay_delivery", "Can send messages again")]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "entry"], name="incentives_delivery_once"),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "due_at", "entry"],
                condition=Q(state="pending"),
                name="incentives_delivery_due",
            ),
            models.Index(
                fields=["endpoint"], condition=Q(state="dead"), name="incentives_delivery_dead"
            ),
            models.Index(
                fields=["delivered_at"],
                condition=Q(state="delivered"),
                name="incentives_delivery_done",
            ),
        ]

    def __str__(self) -> str:
        return self.webhook_id

    @property
    def webhook_id(self) -> str:
        return f"msg_{self.id.hex}"


class DeliveryAttempt(models.Model):
    """One try: written before it is made, so that one that ended with its worker is seen too."""

    INTERRUPTED = ""

    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="attempts")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField(null=True)
    # The HTTP status, or a word for what came instead.
    outcome = models.CharField(max_length=20, blank=True, default=INTERRUPTED)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.outcome or "interrupted"
