"""What every test stands on: a real PostgreSQL, and nothing left over in it."""

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

# Playwright's loop runs in the test's thread; Django would take that for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

import pytest
from django.db import connection
from django.test import TransactionTestCase
from rest_framework.test import APIClient

ALICE = "11111111-1111-4111-8111-111111111111"
BOB = "22222222-2222-4222-8222-222222222222"
CHARLIE = "9223372036854775807"

TABLES_WITHOUT_MODELS = (
    "procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers,"
    " procrastinate_workers, benefits_change"
)

GUARDED_AGAINST_TRUNCATE = """
SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 <> 0
"""


@pytest.fixture(scope="session", autouse=True)
def _empty_append_only_tables_and_jobs() -> Iterator[None]:
    """Between transactional tests the tables are truncated, which some themselves refuse, and
    those without models are not Django's to empty."""
    tear_down = TransactionTestCase._fixture_teardown

    def tear_down_all(case: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(GUARDED_AGAINST_TRUNCATE)
            guarded = [table for (table,) in cursor.fetchall()]
            for table in guarded:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            tear_down(case)
            cursor.execute(f"TRUNCATE {TABLES_WITHOUT_MODELS} RESTART IDENTITY CASCADE")
            for table in guarded:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    TransactionTestCase._fixture_teardown = tear_down_all
    yield
    TransactionTestCase._fixture_teardown = tear_down


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a failed test read half is let go with it: its traceback holds the generators, and a
    cursor that is closed when they are collected would be the end of a later test's transaction."""
    before = item.session.testsfailed
    result = yield
    if item.session.testsfailed > before:
        sys.last_value = sys.last_traceback = None
        gc.collect()
    return result


@pytest.fixture
def client_of() -> Callable[[str], APIClient]:
    """An API client that the gateway vouches for: `client_of(ALICE)`."""

    def make(user_id: str) -> APIClient:
        return APIClient(headers={"x-zmrn-user-id": user_id})

    return make


@pytest.fixture
def alice(client_of: Callable[[str], APIClient]) -> APIClient:
    return client_of(ALICE)


@pytest.fixture
def bob(client_of: Callable[[str], APIClient]) -> APIClient:
    return client_of(BOB)


@pytest.fixture
def charlie(client_of: Callable[[str], APIClient]) -> APIClient:
    return client_of(CHARLIE)
