"""Connections outlive their request, and are left when their server has closed them."""

import psycopg
import pytest
from django.db import connection
from rest_framework.test import APIClient

from common.connections import is_closed
from common.tests.running import wait_for
from conftest import ALICE

BALANCE = "/api/v1/wallet/balance/"


def pid():
    return connection.connection.info.backend_pid


@pytest.fixture
def alice_client():
    return APIClient(headers={"x-zmrn-user-id": ALICE})


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_kept_from_request_to_request(alice_client):
    alice_client.get(BALANCE)
    before = pid()
    alice_client.get(BALANCE)
    assert pid() == before


@pytest.mark.django_db(transaction=True)
def test_no_request_fails_on_a_connection_that_was_closed_before_it(alice_client):
    assert alice_client.get(BALANCE).status_code == 200
    before = pid()
    parameters = connection.get_connection_params()
    known = {name: parameters[name] for name in ("host", "port", "user") if name in parameters}
    with psycopg.connect(**known, dbname=parameters["dbname"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [before])
    wait_for(lambda: is_closed(connection.connection))
    assert alice_client.get(BALANCE).status_code == 200
    assert pid() != before


@pytest.mark.django_db
def test_a_connection_in_use_is_left_alone(alice_client):
    connection.ensure_connection()
    before = pid()
    assert not is_closed(connection.connection)
    alice_client.get(BALANCE)
    assert pid() == before
