"""How background jobs behave: patient retries, and none lost with its worker."""

import random
from datetime import UTC, datetime, timedelta

from django.conf import settings
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.contrib.django import app
from procrastinate.jobs import Job

LONGEST_WAIT = timedelta(minutes=10)
# A worker that missed three heartbeats is dead.
SILENCE = 3 * settings.WORKER_HEARTBEAT  # seconds
HOURS_TO_REMEMBER = 24


class PermanentFailure(Exception):
    """Trying again cannot help: the job stays failed, where staff see it."""


class Patiently(BaseRetryStrategy):
    """Again and again, 1 s, 2 s, 4 s … 10 min apart, until it is done."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, PermanentFailure):
            return None
        seconds = min(2.0 ** min(job.attempts, 20), LONGEST_WAIT.total_seconds())
        # Jitter, so that what failed together does not come back together.
        wait = timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311
        return RetryDecision(retry_at=datetime.now(UTC) + wait)


# The sixth column is the seconds.
@app.periodic(cron=f"* * * * * */{max(1, SILENCE // 2)}")
@app.task(queueing_lock="sweep", pass_context=True, name="common.sweep_stalled_jobs")
async def sweep_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """A job whose worker was killed is taken up again; every job here may run twice."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=SILENCE):
        await manager.retry_job(job)
    await manager.prune_stalled_workers(seconds_since_heartbeat=SILENCE)


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="forget", pass_context=True, name="common.forget_finished_jobs")
async def forget_finished_jobs(context: JobContext, timestamp: int) -> None:
    """Every sweep is a job too: what succeeded is kept for a day, what failed for ever."""
    await context.app.job_manager.delete_old_jobs(nb_hours=HOURS_TO_REMEMBER)
