"""A database connection that its server has closed is replaced before a request fails on it."""

import select
from typing import Any

import psycopg
from django.core.signals import request_started
from django.db import connections
from django.dispatch import receiver


@receiver(request_started, dispatch_uid="common.leave_closed_connections")
def leave_closed_connections(**kwargs: Any) -> None:
    """Connections outlive their request; asking the server each time would cost a round trip."""
    for connection in connections.all(initialized_only=True):
        is_idle = connection.connection is not None and not connection.in_atomic_block
        if is_idle and is_closed(connection.connection):
            connection.close()


def is_closed(connection: psycopg.Connection[Any]) -> bool:
    # Nobody asked anything: what there is to read can only be the server's farewell.
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(0))
