"""Every job is somebody's."""

from procrastinate.contrib.django import app

from common.queues import shares


def test_each_queue_is_in_one_share(settings):
    settings.QUEUES_APART = {"webhooks": 3, "wallet": 2}
    settings.WORKER_THREADS = 5
    (others, threads), *apart = shares(app)
    assert apart == [(["webhooks"], 3), (["wallet"], 2)]
    assert threads == 5
    assert sorted([*others, "webhooks", "wallet"]) == sorted(
        {task.queue for task in app.tasks.values()} | {"webhooks", "wallet"}
    )
    assert {"default", "incentives"} <= set(others)
