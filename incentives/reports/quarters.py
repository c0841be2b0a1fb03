"""An employer's figures of a closed quarter: how many of its members earned what, and the cost."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet, Sum

from common.problems import Problem
from incentives.models import Achievement, Eligibility, Employer, EmployerReport, Incentive
from incentives.reports.small_cells import SMALLEST, shown

# Events come late; what comes later still is in no report.
DAYS_TO_SETTLE = 30
# What somebody still waits for consent with has not happened for anybody else.
COUNTED = [
    Achievement.Status.GRANTED,
    Achievement.Status.RELEASED,
    Achievement.Status.FULFILLED,
]


class QuarterOpen(Problem):
    status, code, title = 409, "quarter-open", "This quarter is not closed yet"


def make_report(
    *, employer: Employer, quarter: date, by: User | None, now: datetime
) -> tuple[EmployerReport, bool]:
    """The report of the quarter that begins on this day, and whether it is new.

    What was shown once is shown again: worked out anew, it could differ by one person. Raises
    QuarterOpen until all that counts has had the time to come in.
    """
    if quarter not in closed_quarters(now, how_many=40):
        raise QuarterOpen(f"It can be made {DAYS_TO_SETTLE} days after the quarter's end.")
    earlier = EmployerReport.objects.filter(employer=employer, quarter=quarter)
    if (found := earlier.first()) is not None:
        return found, False
    try:
        with transaction.atomic():
            report = EmployerReport.objects.create(
                employer=employer,
                quarter=quarter,
                figures=figures(employer, quarter),
                made_at=now,
                made_by=by,
            )
    except IntegrityError:
        return earlier.get(), False
    return report, True


def closed_quarters(now: datetime, how_many: int = 8) -> list[date]:
    """The first days of quarters that a report may be made of, the newest first."""
    first = quarter_of((now - timedelta(days=DAYS_TO_SETTLE)).date())
    found = []
    for _ in range(how_many):
        first = quarter_of(first - timedelta(days=1))
        found.append(first)
    return found


def quarter_of(day: date) -> date:
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def end_of(quarter: date) -> date:
    """Its last day."""
    return quarter_of(quarter + timedelta(days=95)) - timedelta(days=1)


def figures(employer: Employer, quarter: date) -> dict[str, Any]:
    """As it may be shown; what is hidden is not in it."""
    last = end_of(quarter)
    incentives = offered(employer, quarter, last)
    counts, costs = earned(incentives, quarter, last)
    population = members(employer, quarter, last)
    found = shown(
        {str(each.pk): counts.get(each.pk, 0) for each in incentives}, population=population
    )
    rows = []
    for each in incentives:
        count = found.cells[str(each.pk)]
        # The cost over the price of one would be the number.
        cost = None if count is None else str(costs.get(each.pk, Decimal(0)))
        rows.append(
            {
                "programme": each.programme.name,
                "incentive": each.name,
                "members": count,
                "cost": cost,
                "currency": each.programme.currency,
            }
        )
    currencies = {each.programme.currency for each in incentives}
    is_total_shown = found.is_complete and len(currencies) == 1
    return {
        "population": population,
        "smallest": SMALLEST,
        "rows": rows,
        "total": found.total,
        "cost": str(sum(costs.values(), Decimal(0))) if is_total_shown else None,
        "currency": currencies.pop() if len(currencies) == 1 else None,
    }


def offered(employer: Employer, first: date, last: date) -> list[Incentive]:
    return list(
        Incentive.objects.filter(
            Q(programme__ends_on=None) | Q(programme__ends_on__gte=first),
            programme__employer=employer,
            programme__starts_on__lte=last,
            programme__published_at__isnull=False,
        )
        .select_related("programme")
        .order_by("programme__slug", "slug")
    )


def earned(
    incentives: list[Incentive], first: date, last: date
) -> tuple[dict[int, int], dict[int, Decimal]]:
    """Members and cost, by incentive."""
    achieved: QuerySet[Any, Any] = (
        Achievement.objects.filter(
            incentive__in=incentives,
            status__in=COUNTED,
            effective_on__gte=first,
            effective_on__lte=last,
        )
        .order_by()
        .values("incentive")
        .annotate(members=Count("user_id", distinct=True), total=Sum("cost"))
        .values_list("incentive", "members", "total")
    )
    rows = list(achieved)
    return {id: count for id, count, _ in rows}, {id: cost for id, _, cost in rows}


def members(employer: Employer, first: date, last: date) -> int:
    """Who was eligible on some day of it."""
    return (
        Eligibility.objects.filter(
            Q(ends_on=None) | Q(ends_on__gte=first), employer=employer, starts_on__lte=last
        ).aggregate(count=Count("user_id", distinct=True))["count"]
        or 0
    )
