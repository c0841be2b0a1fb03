"""What runs behind the partners' side: the feed each second, and the webhooks it makes."""

from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from incentives.partners import deliveries, feed


# What is to be done stands in tables; this looks there, so a job that is lost loses nothing.
@app.periodic(cron="* * * * * *")
@app.task(
    queueing_lock="incentives.tell_partners", queue="incentives", name="incentives.tell_partners"
)
def tell_partners(timestamp: int) -> None:
    """Publish what changed, and wake the deliveries that are due."""
    feed.publish_all(now=timezone.now())
    for endpoint in deliveries.endpoints_with_work(now=timezone.now()):
        # One at a time: a slow receiver keeps one thread, whatever waits for it.
        name = f"incentives.deliver:{endpoint.pk}"
        try:
            with transaction.atomic():
                deliver.configure(lock=name, queueing_lock=name).defer(endpoint_id=endpoint.pk)
        except AlreadyEnqueued:
            pass


# A queue of its own: see QUEUES_APART.
@app.task(queue="webhooks", name="incentives.deliver")
def deliver(*, endpoint_id: int) -> None:
    deliveries.deliver_due(endpoint_id)


@app.periodic(cron="23 3 * * *")
@app.task(queueing_lock="incentives.forget_delivered", name="incentives.forget_delivered")
def forget_delivered(timestamp: int) -> None:
    deliveries.forget_delivered(now=timezone.now())
