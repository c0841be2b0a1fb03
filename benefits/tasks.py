"""What the worker does by itself: adds the latest changes to their weeks."""

from procrastinate.contrib.django import app

from benefits import activity


# What is read is right without it; it only keeps short what a read has to add up.
@app.periodic(cron="* * * * *")
@app.task(queueing_lock="benefits.fold", name="benefits.fold")
def fold(timestamp: int) -> None:
    activity.fold()
