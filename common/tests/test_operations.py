"""Health, metrics, schema and docs: for operators and for those who write clients."""

import re

import pytest
from django.contrib.staticfiles import finders
from django.db import Error, InterfaceError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from common import health, metrics

pytestmark = pytest.mark.django_db


def test_live_says_that_the_process_lives(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/health/live/")
    assert (response.status_code, response.content) == (204, b"")
    assert "no-store" in response["Cache-Control"]


def test_ready_when_database_migrations_and_queue_are_there(client):
    response = client.get("/health/ready/")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": True,
        "migrations": True,
        "queue": True,
    }


def test_not_ready_before_the_migrations(client):
    last = MigrationRecorder.Migration.objects.filter(app="common").last()
    last.delete()
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert (response.json()["database"], response.json()["migrations"]) == (True, False)


def test_ready_although_the_database_knows_later_migrations(client):
    MigrationRecorder(connection).record_applied("common", "9999_later")
    assert client.get("/health/ready/").status_code == 200


@pytest.mark.parametrize("error", [OperationalError("secret"), InterfaceError("secret")])
def test_not_ready_without_a_database(client, monkeypatch, error):
    def cursor(*args):
        raise error

    monkeypatch.setattr(health.connection, "cursor", cursor)
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "database": False,
        "migrations": False,
        "queue": False,
    }


def test_not_ready_without_the_queue(client):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE procrastinate_jobs RENAME TO elsewhere")
    assert client.get("/health/ready/").status_code == 503


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_operations_work_without_a_slash_a_header_and_a_name_of_ours(client, settings, path):
    settings.ALLOWED_HOSTS = ["accrue.example"]
    settings.GATEWAY_SECRET = "s3cret"
    assert client.get(path, HTTP_HOST="10.0.0.7").status_code < 300
    assert client.head(f"{path}/").status_code < 300
    assert client.post(f"{path}/").status_code == 405


def figures(client):
    response = client.get("/metrics/")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    return dict(line.rsplit(" ", 1) for line in response.text.splitlines() if line[0] != "#")


def test_requests_are_counted_by_route_method_and_status(client):
    def count(status="404"):
        labels = f'{{method="GET",route="^api/",status="{status}"}}'
        return float(figures(client).get(f"accrue_http_requests_total{labels}", 0))

    before = count()
    for number in range(3):
        client.get(f"/api/v1/nothing/{number}/")
    assert count() == before + 3


def test_no_caller_can_make_up_series(client):
    for number in range(5):
        client.get(f"/made-up-{number}/")
        client.get(f"/api/v1/quizzes/made-up-{number}/")
        client.get("/health/live/", HTTP_HOST=f"made-up-{number}")
        client.generic(f"MADEUP{number}", "/health/live/")
        client.generic(f"madeup{number}", f"/static/made-up-{number}.css").close()
    text = client.get("/metrics/").text
    assert not re.search("made-?up", text, re.IGNORECASE)
    assert 'method="other"' in text


def test_jobs_are_counted_by_state(client):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) "
            "VALUES ('default', 'a', 'failed'), ('default', 'b', 'failed')"
        )
    assert figures(client)['accrue_jobs{status="failed"}'] == "2.0"


def test_metrics_are_there_without_a_database(client, monkeypatch):
    def cursor(*args):
        raise Error("secret")

    monkeypatch.setattr(metrics.connection, "cursor", cursor)
    assert "accrue_jobs" not in str(figures(client))


def test_the_schema_is_openapi_3_1_and_names_every_call(client):
    schema = client.get("/api/schema/").json()
    assert schema["openapi"].startswith("3.1")
    assert "/api/v1/quizzes/{slug}/attempts/" in schema["paths"]
    assert not [path for path in schema["paths"] if not path.startswith("/api/v1/")]
    operations = [each for path in schema["paths"].values() for each in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        problem = operation["responses"]["default"]
        assert problem == {"$ref": "#/components/responses/Problem"}
        assert operation["security"]


def test_the_docs_work_without_internet():
    page = Client().get("/api/docs/")
    assert page.status_code == 200
    assert not re.search("https?://|//[a-z]", page.text.replace("// ", ""))
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    for asset in assets:
        assert asset.startswith("/static/")
        assert finders.find(asset.removeprefix("/static/"))
    assert 'url: "/api/schema/"' in page.text


def test_the_address_alone_leads_to_the_docs(client):
    assert client.get("/")["Location"] == "/api/docs/"
