"""Who is eligible: the employers and, for each, the periods of its members."""

from datetime import date

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Func, Q, Value

from incentives.days import zones


def validate_zone(name: str) -> None:
    if name not in zones():
        raise ValidationError("Not an IANA time zone, such as Europe/Berlin.", code="zone")


class EmployerManager(models.Manager["Employer"]):
    def get_by_natural_key(self, slug: str) -> "Employer":
        return self.get(slug=slug)


class Employer(models.Model):
    """Whoever pays for programmes; its zone is the default of its members."""

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, validators=[validate_zone])

    objects = EmployerManager()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(timezone=""), name="incentives_employer_has_timezone"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def natural_key(self) -> tuple[str]:
        return (self.slug,)


class EligibilityQuerySet(models.QuerySet["Eligibility"]):
    def of(self, user_id: str) -> "EligibilityQuerySet":
        return self.filter(user_id=user_id)


def point(column: str, kind: str) -> Func:
    return Func(F(column), F(column), Value("[]"), function=kind)


class Eligibility(models.Model):
    """From one local day to another, both included, a user is a member of the employer."""

    employer = models.ForeignKey(
        Employer, models.PROTECT, related_name="eligibilities", db_index=False
    )
    user_id = models.CharField(max_length=36)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The last day; empty is open.")
    timezone = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        validators=[validate_zone],
        help_text="Empty: the employer's.",
    )

    objects = EligibilityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "eligibility"
        ordering = ["employer", "user_id", "starts_on"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on=None) | Q(ends_on__gte=F("starts_on")),
                name="incentives_eligibility_ends_after_start",
            ),
            # PostgreSQL has infinite days; what no worker can read would stop its whole shard.
            models.CheckConstraint(
                condition=Q(starts_on__gte=date.min) & (Q(ends_on=None) | Q(ends_on__lte=date.max)),
                name="incentives_eligibility_in_the_calendar",
            ),
            # GiST knows equality of scalars only with an extension that is not everywhere: a
            # range of one point is equal to another where the two overlap.
            ExclusionConstraint(
                name="incentives_eligibility_no_overlap",
                expressions=[
                    (point("user_id", "incentives_textrange"), RangeOperators.OVERLAPS),
                    (point("employer", "int8range"), RangeOperators.OVERLAPS),
                    (
                        Func(F("starts_on"), F("ends_on"), Value("[]"), function="daterange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
        indexes = [
            models.Index(fields=["user_id", "employer"], name="incentives_elig_user"),
            models.Index(fields=["employer", "user_id"], name="incentives_elig_employer"),
        ]
        # Whatever way a period comes, changes or goes, its member's log is looked at anew.
        triggers = [
            pgtrigger.Trigger(
                name=name,
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=operation,
                referencing=pgtrigger.Referencing(**tables),  # type: ignore[no-untyped-call]
                func=f"""
                INSERT INTO incentives_waiting (user_id)
                SELECT user_id FROM {" UNION SELECT user_id FROM ".join(tables.values())};
                RETURN NULL;
                """,  # noqa: S608  # the only things put in are these names
            )
            for name, operation, tables in [
                ("begins", pgtrigger.Insert, {"new": "fresh"}),
                ("changes", pgtrigger.Update, {"old": "former", "new": "fresh"}),
                ("goes", pgtrigger.Delete, {"old": "former"}),
            ]
        ]

    def __str__(self) -> str:
        return f"{self.user_id} from {self.starts_on} to {self.ends_on or 'open'}"
