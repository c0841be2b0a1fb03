"""What may happen: the types of events that employers choose from."""

import pgtrigger
from django.core.validators import RegexValidator
from django.db import models

TYPE_NAME = RegexValidator(r"^[a-z][a-z0-9_]{0,49}\Z", "1 to 50 of a-z, 0-9 and _.")


class EventType(models.Model):
    """A kind of event, the schema of its data, and how carefully it is to be treated."""

    class Sensitivity(models.TextChoices):
        ORDINARY = "ordinary", "Ordinary: an activity like any other"
        HEALTH = "health", "Health: its data never leave the house"
        INTIMATE = "intimate", "Intimate: that it happened at all is the member's secret"

    slug = models.CharField("name", max_length=50, unique=True, validators=[TYPE_NAME])
    label = models.CharField(
        max_length=100, help_text="As a sentence says it: “health data logged”."
    )
    sensitivity = models.CharField(
        max_length=10, choices=Sensitivity.choices, default=Sensitivity.HEALTH
    )
    data_schema = models.JSONField(
        default=dict,
        blank=True,
        help_text="JSON Schema of an event's data; {} takes any object.",
    )

    class Meta:
        ordering = ["slug"]
        triggers = [
            # Events name their type without a foreign key, which every insert would have to
            # look up and lock: a type that stays makes that safe.
            pgtrigger.Protect(name="stays", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="keeps_its_name",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__slug__df=pgtrigger.F("new__slug")),
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def is_intimate(self) -> bool:
        return self.sensitivity == self.Sensitivity.INTIMATE
