"""Who takes which jobs: webhooks, and a wallet elsewhere, have threads of their own."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from procrastinate import App


def shares(app: App) -> list[tuple[list[str], int]]:
    """Queues, and how many threads take their jobs: each queue that has a task is in one share."""
    app.perform_import_paths()  # type: ignore[no-untyped-call]
    others = {task.queue for task in app.tasks.values()} - settings.QUEUES_APART.keys()
    apart = [([queue], threads) for queue, threads in settings.QUEUES_APART.items()]
    return [(sorted(others), settings.WORKER_THREADS), *apart]


async def work(app: App) -> None:
    """A worker for each share, until we are told to end, or one of them does.

    That happens when the database goes away; whoever started us starts all of them anew.
    """
    loop, found, is_over = asyncio.get_running_loop(), shares(app), asyncio.Event()
    # All jobs share the loop's own threads, which would be a few more than there are processors.
    loop.set_default_executor(ThreadPoolExecutor(sum(threads for _, threads in found)))
    async with app.open_async(), asyncio.TaskGroup() as group:
        # Not before: while the database does not answer, a signal ends us at once.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, is_over.set)
        workers = [
            group.create_task(
                app.run_worker_async(
                    queues=queues, concurrency=threads, install_signal_handlers=False
                )
            )
            for queues, threads in found
        ]
        for worker in workers:
            worker.add_done_callback(lambda _: is_over.set())
        await is_over.wait()
        # Told once, a worker finishes its jobs; told twice, it leaves them.
        for worker in workers:
            worker.cancel()
