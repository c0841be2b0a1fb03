"""What the worker does by itself: folds records into their bills, and closes months."""

from django.utils import timezone
from procrastinate.contrib.django import app

from common.tasks import Patiently
from usage import folding, services

DAYS_AFTER = 3


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="usage.fold", name="usage.fold")
def fold(timestamp: int) -> None:
    folding.fold()


# Daily, so that a worker that was down on the day closes the month on the next.
@app.periodic(cron="11 0 * * *")
@app.task(queueing_lock="close_bills", name="usage.close_bills", retry=Patiently())
def close_bills(timestamp: int) -> None:
    """Close the months that ended three days ago or earlier."""
    services.close_months(days_after=DAYS_AFTER, now=timezone.now(), by="the scheduled job")
