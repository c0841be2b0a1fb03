"""The API fuzzed from its own schema: what the schema says is true, and nothing is a 500."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from common.models import ApiKey
from config.wsgi import application
from conftest import ALICE

schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


@pytest.fixture
def headers(db, settings):
    settings.GATEWAY_SECRET = "s3cret"
    # A request that is over closes its connection, which here is the test's own.
    request_finished.disconnect(close_old_connections)
    request_started.disconnect(close_old_connections)
    _, secret = ApiKey.issue(owner="fuzzer", scopes=["wallet.read", "wallet.write"])
    yield {
        "x-zmrn-user-id": ALICE,
        "x-gateway-secret": "s3cret",
        "Authorization": f"Bearer {secret}",
    }
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
def test_the_schema_is_true_and_nothing_is_a_500(case, headers):
    case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance, negative_data_rejection])
