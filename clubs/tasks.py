"""What the worker does by itself: asks what became of charges that nobody knows the outcome of."""

from django.utils import timezone
from procrastinate.contrib.django import app

from clubs import charging, runs, shop  # noqa: F401  # the runs' own job is there
from clubs.models import Charge

AT_ONCE = 100
PATIENCE = 3


@app.periodic(cron="* * * * *")
# One at a time: with a shop that is slow to answer each takes longer than a minute.
@app.task(queueing_lock="clubs.reconcile", lock="clubs.reconcile", name="clubs.reconcile")
def reconcile(timestamp: int) -> None:
    """Every minute, whatever is due: 5 minutes after it became unknown, an hour, then each day."""
    silent = 0
    for charge in Charge.objects.due(now=timezone.now())[:AT_ONCE]:
        was_claimed = charge.state == Charge.State.CLAIMED
        state = charging.reconcile(charge)
        # A shop that tells nothing is left alone; the rest is still due in a minute.
        silent = silent + 1 if state == Charge.State.UNKNOWN and not was_claimed else 0
        if silent == PATIENCE:
            break
