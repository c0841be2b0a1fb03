"""The jobs that wait, done in the test's own process."""

from unittest.mock import patch

from django.db import connection
from procrastinate.contrib.django import app


def work() -> None:
    """What a worker does until nothing is due; its threads keep no connection."""
    with (
        patch.dict(connection.settings_dict, CONN_MAX_AGE=0),
        app.replace_connector(app.connector.get_worker_connector()),
    ):
        app.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)
