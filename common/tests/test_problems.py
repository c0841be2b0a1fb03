"""Every 4xx and 5xx under /api/ is a problem document that tells nothing it should not."""

import io
import json
import logging
import re
import uuid

import pytest
from django.test import Client
from rest_framework.test import APIClient

from common.problems import problem_of
from common.tests.border import ERRORS
from conftest import ALICE

pytestmark = [pytest.mark.urls("common.tests.border"), pytest.mark.django_db]
ECHO = "/api/v1/border/echo/"
LEAKS = re.compile("secret|SELECT|/srv|Traceback|django|html|ValueError|line \\d", re.IGNORECASE)


@pytest.fixture(params=[True, False], ids=["DEBUG", "production"], autouse=True)
def debug(request, settings):
    settings.DEBUG = request.param
    settings.ALLOWED_HOSTS = ["testserver"]
    return request.param


@pytest.fixture
def client():
    client = APIClient(headers={"x-zmrn-user-id": ALICE})
    client.raise_request_exception = False
    return client


def checked(response, status, code):
    """The problem document, which has all that one must have, and nothing of ours."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert int(response["Content-Length"]) == len(response.content)
    problem = json.loads(response.content)
    assert problem["type"] == f"urn:problem:{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response["X-Request-ID"]
    assert not LEAKS.search(response.content.decode().replace(code, ""))
    return problem


@pytest.mark.parametrize("place", ["failing", "failing-outside"])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("bug", 500, "internal-error"),
        ("constraint", 500, "internal-error"),
        ("away", 503, "unavailable"),
        ("closed", 503, "unavailable"),
        ("range", 400, "invalid-input"),
        ("django404", 404, "not-found"),
        ("django403", 403, "forbidden"),
        ("suspicious", 400, "bad-request"),
        ("bad", 400, "bad-request"),
        ("throttled", 429, "too-many-requests"),
        ("parse", 400, "bad-request"),
    ],
)
def test_every_error_is_a_problem_without_a_secret(client, caplog, place, error, status, code):
    response = client.get(f"/api/v1/border/{place}/{error}/")
    checked(response, status, code)
    if status == 503:
        assert int(response["Retry-After"]) > 0
    if error == "throttled":
        assert response["Retry-After"] == "7"
    # What was wrong on our side is for our log, with its traceback.
    told = [record for record in caplog.records if record.exc_info]
    assert bool(told) == (status == 500 or error == "range")


def test_all_errors_are_tried():
    assert len({type(error) for error in ERRORS.values()}) == len(ERRORS)
    assert {problem_of(error).status for error in ERRORS.values()} == {400, 403, 404, 429, 500, 503}


def test_a_page_of_somebody_elses_becomes_a_problem(client):
    checked(client.get("/api/v1/border/html/"), 403, "forbidden")


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/nothing/",
        "/api/v2/border/echo/",
        "/api/v1/border/echo//",
        "/api/v1/border/%00/",
        "/api/v1/border/echo/%00",
        "/api/v1/border/%ff/",
        "/api/v1/border/%F0%9F%92%A9/",
        "/api/v1/border/%2e%2e/",
        "/api/v1/border/" + "x" * 10_000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"])
def test_an_unknown_path_is_404_whatever_the_method(client, path, method):
    checked(client.generic(method, path), 404, "not-found")


def test_what_does_not_exist_says_no_more_than_what_is_somebody_elses(client):
    first, second = (client.get(f"/api/v1/nothing/{n}/").json() for n in (1, 2))
    first.pop("request_id"), second.pop("request_id")
    assert first == second


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "FOO", "post\u2028"])
def test_a_wrong_method_is_405_and_says_which_are_right(client, method):
    response = client.generic(method, "/api/v1/border/take/")
    checked(response, 405, "method-not-allowed")
    assert response["Allow"] == "POST, OPTIONS"


def test_options_tells_what_is_allowed(client):
    response = client.options(ECHO)
    assert response.status_code == 200
    assert response["Allow"] == "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
    assert not [name for name in response.headers if name.startswith("Access-Control")]


def test_no_other_origin_is_let_in(client):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ["options", "get"]:
        response = getattr(client, method)(ECHO, headers=headers)
        assert not [name for name in response.headers if name.startswith("Access-Control")]


def test_head_is_get_without_a_body(client):
    get, head = client.get(ECHO), client.head(ECHO)
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Length"] == get["Content-Length"]
    assert client.head("/api/v1/nothing/").status_code == 404
    assert APIClient().head(ECHO).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_path_without_its_slash_works_too_for_every_method(client, method):
    body = '{"number": 5}'
    kinds = {"content_type": "application/json"}
    with_slash = client.generic(method, ECHO, body, **kinds)
    without = client.generic(method, ECHO.removesuffix("/"), body, **kinds)
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.content == without.content
    query = client.generic(method, f"{ECHO.removesuffix('/')}?a=/b", body, **kinds)
    assert query.content == with_slash.content


@pytest.mark.parametrize("query", ["a=%00", "%00=a", "a=b&c=x%00y", "a=%2500&b=%00"])
def test_nul_in_a_query_is_400_and_names_the_parameter(client, query):
    problem = checked(client.get(f"{ECHO}?{query}"), 400, "invalid-input")
    (fault,) = problem["errors"]
    assert fault["code"] == "nul"
    assert fault["pointer"] in ("/a", "/\x00", "/c", "/b")


@pytest.mark.parametrize("query", ["a=%2500", "a=%ff", "a=%ED%A0%80", "=&&=", "a" * 60_000, "%"])
def test_any_other_query_is_harmless(client, query):
    assert client.get(f"{ECHO}?{query}").json() == {"user": ALICE}


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "application/problem+json",
        "*/*",
        "text/html",
        "text/html,application/xhtml+xml;q=0.9",
        "application/xml",
        "application/json;q=0",
        "application/json; indent=4",
        "image/png",
        "nonsense",
        "",
        ";;;,,,q=",
        "\xff",
        "a/b," * 1000,
    ],
)
def test_whatever_is_accepted_it_is_json(client, accept):
    found = client.get(ECHO, HTTP_ACCEPT=accept)
    assert found["Content-Type"] == "application/json"
    assert found.content == json.dumps({"user": ALICE}, separators=(",", ":")).encode()
    checked(client.get("/api/v1/nothing/", HTTP_ACCEPT=accept), 404, "not-found")
    checked(client.get("/api/v1/border/failing/bug/", HTTP_ACCEPT=accept), 500, "internal-error")


def test_a_format_in_the_query_changes_nothing(client):
    assert client.get(f"{ECHO}?format=api").json() == {"user": ALICE}


@pytest.mark.parametrize("path", [ECHO, "/api/v1/nothing/", "/api/docs/"])
def test_a_host_that_is_not_ours_is_refused(client, path):
    for host in ["evil.example", "a b", "", "testserver:port", "\xff"]:
        checked(client.get(path, HTTP_HOST=host), 400, "bad-request")


@pytest.mark.parametrize("path", ["/api/docs/", "/api/schema/"])
def test_wrong_methods_on_our_own_pages_are_problems_too(client, path):
    checked(client.post(path), 405, "method-not-allowed")


# Request ids

EVERYWHERE = [
    ECHO,
    "/api/v1/nothing/",
    "/api/v1/border/failing/bug/",
    "/api/v1/border/failing-outside/bug/",
    "/page/failing/bug/",
    "/nothing/",
    "/health/live/",
    "/metrics/",
    "/static/admin/css/base.css",
    "/static/nothing.css",
    "/admin/",
    "/api/docs/",
]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_response_carries_the_callers_request_id(path):
    client = Client(raise_request_exception=False)

    def answered(**headers):
        response = client.get(path, headers=headers)
        response.close()
        return response["X-Request-ID"]

    assert answered(**{"X-Request-ID": "abc-123"}) == "abc-123"
    own = answered()
    assert str(uuid.UUID(own)) == own
    assert answered() != own


@pytest.mark.parametrize("given", ["a", "A-1", "-", "x" * 64, str(uuid.uuid4())])
def test_a_callers_id_is_kept(client, given):
    assert client.get(ECHO, headers={"X-Request-ID": given})["X-Request-ID"] == given
    refused = client.get("/api/v1/nothing/", headers={"X-Request-ID": given})
    assert refused.json()["request_id"] == refused["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given",
    ["", " a", "a b", "a_b", "a.b", "x" * 65, "a\n", "a,b", "é", "１", "<script>", "a\r\nX: y"],
)
def test_anything_else_is_replaced(client, given):
    answered = client.get(ECHO, HTTP_X_REQUEST_ID=given)["X-Request-ID"]
    assert str(uuid.UUID(answered)) == answered


def test_the_log_is_json_with_the_same_id_on_each_line_of_a_request(client, monkeypatch):
    (handler,) = (each for each in logging.getLogger().handlers if each.name == "stderr")
    monkeypatch.setattr(handler, "stream", written := io.StringIO())
    client.get("/api/v1/border/failing/bug/", headers={"X-Request-ID": "one-1"})
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert {line["request_id"] for line in lines} == {"one-1"}
    assert [line["level"] for line in lines] == ["ERROR", "INFO"]
    assert (lines[1]["method"], lines[1]["status"]) == ("GET", 500)


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/nothing"])
def test_what_is_nowhere_is_a_problem_and_no_redirect(client, settings, method, path):
    settings.DEBUG = True
    response = getattr(client, method)(path)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
