"""What happened: the log of events, and who waits to be looked at because of it."""

from datetime import UTC, datetime

import pgtrigger
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact

# Members are spread over this many shards; one worker at a time evaluates a shard.
SHARDS = 16
# Where calendars are well defined in every zone.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Event(models.Model):
    """Something that happened to a user, once for each owner and id; only a retraction is added.

    No foreign keys: whoever reports may name people whom no file has brought yet.
    """

    owner = models.CharField(max_length=110)
    event_id = models.CharField(max_length=200)
    user_id = models.CharField(max_length=36)
    type = models.CharField(max_length=50)
    occurred_at = models.DateTimeField()
    timezone = models.CharField(max_length=64, blank=True, default="", db_default="")
    data = models.JSONField(
        default=dict, blank=True, db_default=Func(function="jsonb_build_object")
    )
    received_at = models.DateTimeField(db_default=Now())
    retracted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "event_id"], name="incentives_event_unique"),
            # What no worker can read would stop its whole shard; the API says so more kindly.
            models.CheckConstraint(
                condition=Exact(
                    Func(F("data"), function="jsonb_typeof", output_field=models.TextField()),
                    "object",
                ),
                name="incentives_event_data_is_object",
            ),
            models.CheckConstraint(
                condition=Q(occurred_at__gte=EARLIEST, occurred_at__lt=LATEST),
                name="incentives_event_in_the_calendar",
            ),
        ]
        indexes = [models.Index(fields=["user_id", "occurred_at"], name="incentives_event_of_user")]
        triggers = [
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="only_retracted",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["retracted_at"]),
            ),
            pgtrigger.Protect(
                name="retracted_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__retracted_at__isnull=False),
            ),
            # Whatever way an event comes in, it is looked at.
            pgtrigger.Trigger(
                name="waits",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="fresh"),  # type: ignore[no-untyped-call]
                func="""
                INSERT INTO incentives_waiting (user_id, event_id)
                SELECT user_id, id FROM fresh;
                RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="waits_again",
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__retracted_at__df=pgtrigger.F("new__retracted_at")),
                func="""
                INSERT INTO incentives_waiting (user_id, event_id) VALUES (NEW.user_id, NULL);
                RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class Waiting(models.Model):
    """A user whom a worker must look at: because of one new event, or (without) at everything.

    What is not yet done and nothing else: rows vanish in the transaction that evaluates them.
    """

    user_id = models.CharField(max_length=36)
    event = models.ForeignKey(
        Event, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    shard = models.GeneratedField(
        expression=Func(F("user_id"), function="hashtext").bitand(SHARDS - 1),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    since = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "waiting"
        indexes = [
            models.Index(fields=["shard", "id"], name="incentives_waiting_shard"),
            models.Index(fields=["user_id"], name="incentives_waiting_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.event_id or 'everything'}"
