"""The workers' part: look every second who waits."""

import time
from datetime import UTC, datetime

from procrastinate.contrib.django import app

from incentives import evaluation
from incentives.partners import tasks as partners_tasks  # noqa: F401  # they register themselves

SECONDS_AT_A_TIME = 5.0


# The sixth column is the seconds. A look costs one query; a notification for every event would
# make all commits queue behind one lock.
@app.periodic(cron="* * * * * *")
@app.task(queueing_lock="incentives.evaluate", queue="incentives", name="incentives.evaluate")
def evaluate(timestamp: int) -> None:
    """Until nobody waits, or long enough for another job to have its turn: the next is due soon.

    While one worker is at it, the next second's job goes to another: they share the shards.
    """
    deadline = time.monotonic() + SECONDS_AT_A_TIME
    while time.monotonic() < deadline:
        if not evaluation.evaluate_all(now=datetime.now(UTC), deadline=deadline):
            break


@app.periodic(cron="7 * * * *")
@app.task(queueing_lock="incentives.forget", pass_context=True, name="incentives.forget_looks")
async def forget_looks(context: object, timestamp: int) -> None:
    """There is one every second: an hour of them is enough to see that they run."""
    for queue in ("incentives", "webhooks"):
        await app.job_manager.delete_old_jobs(nb_hours=1, queue=queue)
