"""A database connection that its server has closed is replaced before a request fails on it."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.dispatch import receiver

# Each of Django's own receivers goes through all connections, and these three do nothing here:
# old connections are closed when a request ends, statements are kept with DEBUG only, and no
# cache of ours is to be closed.
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_caches)
if not settings.DEBUG:
    request_started.disconnect(reset_queries)


@receiver(request_started, dispatch_uid="common.leave_closed_connections")
def leave_closed_connections(**kwargs: Any) -> None:
    """Connections outlive their request; asking the server each time would cost a round trip."""
    for connection in connections.all(initialized_only=True):
        is_idle = connection.connection is not None and not connection.in_atomic_block
        if is_idle and is_closed(connection.connection):
            connection.close()


def is_closed(connection: psycopg.Connection[Any]) -> bool:
    # The first reads the server's farewell, if it sent one, the second finds the end behind it.
    # Nothing waits here, so that, unlike in a poll, no other thread takes its turn.
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return False
