"""What the worker does by itself."""

import pytest
from procrastinate.contrib.django import app

from benefits import tasks
from benefits.tests.factories import NOW, used
from benefits.tests.kept import execute, proved


@pytest.mark.django_db
def test_every_minute_the_latest_changes_are_folded(world):
    periodic = {each.task.name: each.cron for each in app.periodic_registry.periodic_tasks.values()}
    assert periodic["benefits.fold"] == "* * * * *"
    used(world[0], NOW)
    tasks.fold(timestamp=0)
    assert execute("SELECT FROM benefits_change") == 0
    assert len(proved()) == 1
