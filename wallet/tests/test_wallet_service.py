"""The wallet as a service of its own, and the rest of the product without its tables."""

import subprocess
import sys
import uuid

import pytest
import requests
from django.conf import settings

from wallet.tests.remote import environment


@pytest.fixture
def user_id():
    return str(uuid.uuid4())


def post(service, user_id, amount=100, key=None):
    return requests.post(
        f"{service.url}/api/v1/wallet/postings/",
        json={"user_id": user_id, "amount": amount, "kind": "gift"},
        headers={
            "Authorization": f"Bearer {service.api_key}",
            "Idempotency-Key": key or str(uuid.uuid4()),
        },
        timeout=10,
    )


def get(service, path, **headers):
    return requests.get(service.url + path, headers=headers, timeout=10)


def test_it_answers_services_and_end_users(wallet_service, user_id):
    assert post(wallet_service, user_id, 300, "k").status_code == 201
    assert post(wallet_service, user_id, 300, "k").headers["Idempotent-Replayed"] == "true"
    headers = {"x-zmrn-user-id": user_id}
    balance = get(wallet_service, "/api/v1/wallet/balance", **headers).json()
    assert balance == {"user_id": user_id, "balance": 300}
    page = get(wallet_service, "/api/v1/wallet/entries/", **headers).json()
    assert [entry["amount"] for entry in page["results"]] == [300]


def test_it_knows_the_wallet_alone(wallet_service):
    schema = get(wallet_service, "/api/schema/").json()
    assert {path.split("/")[3] for path in schema["paths"]} == {"wallet"}
    assert get(wallet_service, "/api/docs/").status_code == 200
    unknown = get(wallet_service, "/api/v1/quizzes/")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:problem:not-found")
    tables = wallet_service.sql("SELECT tablename FROM pg_tables").split()
    assert "wallet_entry" in tables
    assert not [name for name in tables if name.startswith(("quizzes", "procrastinate"))]


def test_its_back_office_works(wallet_service, user_id):
    post(wallet_service, user_id)
    with requests.Session() as staff:
        login = f"{wallet_service.url}/admin/login/?next=/admin/wallet/account/"
        staff.get(login, timeout=10)
        token = staff.cookies["csrftoken"]
        said = {"username": "admin", "password": "accrue", "csrfmiddlewaretoken": token}
        assert user_id in staff.post(login, said, timeout=10).text
        for page in [f"account/{user_id}/change/", "entry/", "adjustment/", "adjustment/add/"]:
            answer = staff.get(f"{wallet_service.url}/admin/wallet/{page}", timeout=10)
            assert answer.status_code == 200
        for page in ["common/apikey/add/", "auth/user/"]:
            assert staff.get(f"{wallet_service.url}/admin/{page}", timeout=10).status_code == 200


def test_verification_ends_with_1_and_names_the_account(wallet_service, user_id):
    post(wallet_service, user_id)
    right = wallet_service.manage("verify_wallet")
    assert (right.returncode, right.stderr) == (0, "")
    wallet_service.sql(f"UPDATE wallet_account SET balance = 99 WHERE user_id = '{user_id}'")
    try:
        wrong = wallet_service.manage("verify_wallet")
    finally:
        wallet_service.sql(f"UPDATE wallet_account SET balance = 100 WHERE user_id = '{user_id}'")
    assert wrong.returncode == 1
    assert f"account {user_id}: balance 99, its entries add up to 100" in wrong.stderr


SITE = """
import django
django.setup()
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.urls import resolve
import wallet.services
from common.urls import unknown

call_command("check", fail_level="WARNING")
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
call_command("migrate", verbosity=0)
assert not apps.is_installed("wallet")
found = [name for name in connection.introspection.table_names() if name.startswith("wallet")]
assert not found, found
assert resolve("/api/v1/wallet/balance/").func is unknown
claim = wallet.services.Claim("quizzes", "k", "42", 100, "quiz_reward", "r")
wallet.services.pay(claim)
with connection.cursor() as cursor:
    cursor.execute("SELECT task_name, args->>'user_id', queue_name FROM procrastinate_jobs")
    assert cursor.fetchall() == [("wallet.deliver", "42", "wallet")]
assert "wallet" in settings.QUEUES_APART
"""


def test_the_site_whose_wallet_is_elsewhere_has_none_of_its_own(wallet_service):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SITE],
        cwd=settings.BASE_DIR,
        env=environment(
            wallet_service.directory,
            DJANGO_SETTINGS_MODULE="config.settings",
            WALLET_BACKEND="wallet.backends.http",
            WALLET_URL=wallet_service.url,
            WALLET_API_KEY="accrue_not_used",
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
