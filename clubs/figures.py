"""What happened in each month: new, paused, cancelled, charged."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncMonth

from clubs.models import Charge, Status, StatusChange, Subscription


@dataclass(frozen=True)
class Month:
    first: date
    new: int
    paused: int
    cancelled: int
    charged: int


def months_until(now: datetime, *, many: int = 12) -> list[Month]:
    """The last `many` calendar months (UTC; charges in the month they are for), oldest first."""
    firsts = [now.astimezone(UTC).date().replace(day=1)]
    while len(firsts) < many:
        firsts.insert(0, (firsts[0] - timedelta(days=1)).replace(day=1))
    since = datetime.combine(firsts[0], datetime.min.time(), UTC)
    decisions = StatusChange.objects.filter(effect_date__gte=since, effect_date__lte=now)
    created = Subscription.objects.filter(create_date__gte=since, create_date__lte=now)
    new = by_month(created, "create_date")
    paused = by_month(decisions.filter(status=Status.PAUSED), "effect_date")
    cancelled = by_month(decisions.filter(status=Status.CANCELLED), "effect_date")
    succeeded = Charge.objects.filter(state=Charge.State.SUCCEEDED, period__gte=firsts[0])
    counted = succeeded.values_list("period").annotate(many=Count("pk")).order_by()
    charged = dict(counted.values_list("period", "many"))
    return [
        Month(
            first,
            new.get(first, 0),
            paused.get(first, 0),
            cancelled.get(first, 0),
            charged.get(first, 0),
        )
        for first in firsts
    ]


def by_month(rows: "QuerySet[Subscription] | QuerySet[StatusChange]", name: str) -> dict[date, int]:
    months = rows.annotate(month=TruncMonth(name, tzinfo=UTC)).values("month")
    counted = months.annotate(many=Count("pk")).order_by().values_list("month", "many")
    return {month.date(): many for month, many in counted}
