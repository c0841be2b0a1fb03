"""The API fuzzed from its own schema: what the schema says is true, and nothing is a 500."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from rest_framework.test import APIClient
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from common.models import ApiKey, Scope
from config.wsgi import application
from conftest import ALICE
from quizzes.tests.factories import fill_in, publish, start, take

GATEWAY = {"x-zmrn-user-id": ALICE, "x-gateway-secret": "s3cret"}
bounded = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


@pytest.fixture(autouse=True)
def _connections_are_closed_again():
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def headers(db, settings):
    settings.GATEWAY_SECRET = GATEWAY["x-gateway-secret"]
    _, secret = ApiKey.issue(owner="fuzzer", scopes=Scope.values)
    return {**GATEWAY, "Authorization": f"Bearer {secret}"}


@pytest.fixture
def attempt(headers):
    """One that Alice has under way, after another that she completed."""
    publish()
    alice = APIClient(headers=headers)
    take(alice)
    attempt = start(alice)
    fill_in(alice, attempt, right_at=[0])
    return attempt


def check(case, headers):
    # A request closes its connection, which here is the test's own; Django's client sees to that
    # itself, and to its coming back.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    # Whether a query is one of ours cannot be said of all: a cursor is opaque, and what else
    # stands there is nobody's business.
    loose = [positive_data_acceptance]
    loose += [negative_data_rejection] if case.method == "GET" or case.query else []
    case.call_and_validate(headers=headers, excluded_checks=loose)


@schema.parametrize()
@bounded
def test_the_schema_is_true_of_whatever_is_asked(case, headers):
    check(case, headers)


@schema.parametrize()
@bounded
def test_the_schema_is_true_of_what_is_there(case, headers, attempt):
    question = attempt["questions"][len(str(case.body)) % len(attempt["questions"])]
    known = {"slug": attempt["quiz"], "id": attempt["id"], "question_id": question["id"]}
    case.path_parameters |= {n: known[n] for n in case.path_parameters if n in known}
    check(case, headers)
