"""Authoring: programmes, and rules in versions that are published and then stay."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.forms.models import model_to_dict
from pydantic import ValidationError

from common.problems import Problem
from incentives.models import EventType, Incentive, Programme, Progress, Rule
from incentives.structures import Block, Parts, Sum, read_structure


class NotPublishable(Problem):
    status, code, title = 409, "not-publishable", "This cannot be published as it is"


def faults_of_rule(rule: Rule) -> list[str]:
    """What keeps a rule from being published, a sentence each."""
    try:
        structure = read_structure(rule.structure)
    except ValidationError as error:
        return [
            f"{'/'.join(map(str, each['loc'])) or 'structure'}: {each['msg']}."
            for each in error.errors()
        ]
    except ValueError as error:
        return [str(error)]
    types = {each.slug: each for each in EventType.objects.filter(slug__in=structure.types)}
    faults = [f"There is no event type {slug}." for slug in structure.types - types.keys()]
    if not rule.incentive.is_sensitive:
        faults += [
            f"“{each.label}” is intimate, so the incentive must be sensitive."
            for each in types.values()
            if each.is_intimate
        ]
    for block in sums(structure):
        kind = types.get(block.event)
        if kind and block.field not in kind.data_schema.get("properties", {block.field}):
            faults.append(f"The data of “{kind.label}” have no {block.field}.")
    return faults


def sums(structure: Block) -> list[Sum]:
    if isinstance(structure, Parts):
        return [found for part in structure.parts for found in sums(part)]
    return [structure] if isinstance(structure, Sum) else []


@transaction.atomic
def publish_rule(*, rule: Rule, by: AbstractBaseUser | None, now: datetime) -> Rule:
    """From now on it stays as it is. Members under way on an earlier version finish on that.

    Raises NotPublishable.
    """
    rule = Rule.objects.select_for_update(of=("self",)).select_related("incentive").get(pk=rule.pk)
    if rule.is_published:
        return rule
    if faults := faults_of_rule(rule):
        raise NotPublishable(" ".join(faults))
    rule.published_at, rule.published_by = now, by  # type: ignore[assignment]
    rule.save(update_fields=["published_at", "published_by"])
    if rule.number == 1:
        look_again_at_members(rule.incentive.programme)
    else:
        # Clocks may run ahead: who began after now, began with this version.
        begun = Progress.objects.filter(incentive=rule.incentive, first_at__gte=now)
        look_again_at(begun.values_list("user_id", flat=True))
    return rule


@transaction.atomic
def publish_programme(*, programme: Programme, now: datetime) -> None:
    """Offer it, and count what happened since it starts. Raises NotPublishable without a rule."""
    if not Rule.objects.filter(incentive__programme=programme, published_at__isnull=False).exists():
        raise NotPublishable("Publish the rule of at least one incentive first.")
    unpublished = Programme.objects.filter(pk=programme.pk, published_at=None)
    if unpublished.update(published_at=now):
        look_again_at_members(programme)


@transaction.atomic
def save_programme(programme: Programme) -> None:
    """Save what staff wrote; other dates make other events count."""
    before = Programme.objects.select_for_update().filter(pk=programme.pk).first()
    if before is None:
        programme.save()
        return
    # Not `spent`, which the workers write meanwhile.
    programme.save(update_fields=["slug", "name", "starts_on", "ends_on", "currency", "budget"])
    if before.is_published and (before.starts_on, before.ends_on) != (
        programme.starts_on,
        programme.ends_on,
    ):
        look_again_at_members(programme)


@transaction.atomic
def draft_rule(incentive: Incentive) -> Rule:
    """The draft of the next version, a copy of the latest; the one that is open if there is one."""
    Incentive.objects.select_for_update().get(pk=incentive.pk)
    latest = incentive.rules.order_by("-number").first()
    if latest is None or not latest.is_published:
        if latest is None:
            raise Rule.DoesNotExist
        return latest
    said: dict[str, Any] = model_to_dict(latest, exclude=["id", "incentive", "number"])
    return Rule.objects.create(incentive=incentive, number=latest.number + 1, **said)


MEMBERS_WAIT = """
INSERT INTO incentives_waiting (user_id)
SELECT DISTINCT user_id FROM incentives_eligibility WHERE employer_id = %s
"""

WAIT = "INSERT INTO incentives_waiting (user_id) SELECT unnest(%s::varchar[])"


def look_again_at_members(programme: Programme) -> None:
    """Recount all of the employer's members from the log, behind this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(MEMBERS_WAIT, [programme.employer_id])


def look_again_at(users: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(WAIT, [list(users)])


@transaction.atomic
def save_rule(rule: Rule) -> None:
    """Save a draft; a new one takes the next number. Raises NotPublishable beside an open draft."""
    Incentive.objects.select_for_update().get(pk=rule.incentive_id)
    if rule._state.adding:
        latest = Rule.objects.filter(incentive=rule.incentive_id).order_by("-number").first()
        if latest is not None and not latest.is_published:
            raise NotPublishable("This incentive has a draft already.")
        rule.number = latest.number + 1 if latest else 1
    rule.save()
