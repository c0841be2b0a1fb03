"""Recording a use and taking one back: the only writers of uses, apart from whoever has SQL."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from benefits.models import BenefitUsage, Reversal
from benefits.recurrence import CLOCK_SKEW
from common.problems import InvalidInput, NotFound, Problem, fault

RECORD = "SELECT outcome, id, available_at FROM benefits_record_use(%s, %s, %s)"


class BenefitNotAvailable(Problem):
    """Carries `availableAt`: the first instant, from the one asked for on, that is free."""

    status, code, title = 409, "benefit-not-available", "The benefit is not available yet"


class NoReason(Problem):
    code, title = "reason-required", "A reversal needs a reason"


def record_use(*, benefit: int, person: int, at: datetime, now: datetime) -> dict[str, Any]:
    """The recorded use as the API answers it.

    Raises InvalidInput (too far in the future), NotFound, or BenefitNotAvailable when the person
    has a use of it less than one recurrence before or after `at`.
    """
    if at - now > CLOCK_SKEW:
        raise InvalidInput(
            fault("/usageTimestamp", "in-the-future", "More than 5 minutes in the future.")
        )
    # One round trip: the database locks, looks and writes.
    with connection.cursor() as cursor:
        cursor.execute(RECORD, [person, benefit, at])
        outcome, id, available_at = cursor.fetchone()
    if outcome == "unknown":
        raise NotFound()
    if outcome == "taken":
        raise BenefitNotAvailable(availableAt=available_at)
    return {
        "id": id,
        "personId": person,
        "benefitId": benefit,
        "usageTimestamp": at,
        "availableAt": available_at,
    }


@transaction.atomic
def reverse_use(*, id: int, by: User, reason: str, now: datetime) -> Reversal:
    """Take a use back and keep who did it, when and why; it is as if it had never been.

    Raises NotFound when there is no such use, or no longer.
    """
    if not reason.strip():
        raise NoReason()
    uses = BenefitUsage.objects.select_for_update(of=("self",))
    use = uses.select_related("person", "benefit__venue").filter(pk=id).first()
    if use is None:
        raise NotFound()
    reversal = Reversal.objects.create(
        usage_id=use.pk,
        person_id=use.person_id,
        person_name=use.person.name,
        benefit_id=use.benefit_id,
        benefit_title=use.benefit.title,
        venue_id=use.benefit.venue_id,
        venue_name=use.benefit.venue.name,
        usage_timestamp=use.usage_timestamp,
        reason=reason.strip(),
        reversed_by=by,
        reversed_at=now,
    )
    use.delete()
    return reversal
