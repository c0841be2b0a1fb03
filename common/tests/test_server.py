"""The real server as `manage.py run` starts it: headers, bodies and methods, byte for byte."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.tests.running import Service

USER, JSON = b"x-zmrn-user-id: 5", b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
BALANCE, TAKES_NONE = "/api/v1/wallet/balance/", "/api/v1/quizzes/nothing/attempts/"
LIMIT = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("server"))
    with service.running("web"):
        yield service


def chunks(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def length(body):
    return b"Content-Length: %d" % len(body)


@pytest.mark.parametrize(
    ("headers", "known_as"),
    [
        ([b"x-zmrn-user-id: 5"], "5"),
        ([b"X-ZMRN-USER-ID:\t5 "], "5"),
        ([b"X_Zmrn_User_Id: 7"], None),
        ([b"x-zmrn_user-id: 7"], None),
        ([b"x-zmrn-user-id: 5", b"X_Zmrn_User_Id: 7"], "5"),
        ([b"X_Zmrn_User_Id: 7", b"x-zmrn-user-id: 5"], "5"),
        ([b"x_zmrn_user_id: 7", b"x-zmrn-user-id: 5", b"X-Zmrn_User-Id: 7"], "5"),
        ([b"x-zmrn-user-id: 5", b"x-zmrn-user-id: 6"], None),
        ([b"x-zmrn-user-id: 5", b"X-Zmrn-User-Id: 5"], None),
        ([b"x-zmrn-user-id: 5", b"x-zmrn-user-id: "], None),
        ([b"x-zmrn-user-id:"], None),
        ([b"x-zmrn-user-id: \xd9\xa5"], None),
        ([b"x-zmrn-user-id: \xff"], None),
        ([b"http-x-zmrn-user-id: 5"], None),
        ([b"x.zmrn.user.id: 5"], None),
        ([], None),
    ],
)
def test_only_the_dashed_header_once_names_the_user(service, headers, known_as):
    answer = service.ask("GET", BALANCE, *headers)
    if known_as is None:
        assert answer.status == 401
        assert "www-authenticate" in answer.headers
    else:
        assert json.loads(answer.body)["user_id"] == known_as


@pytest.mark.parametrize("name", [b"X_Request_Id", b"X-Request_Id"])
def test_no_header_with_an_underscore_is_taken_for_another(service, name):
    answer = service.ask("GET", BALANCE, USER, name + b": mine")
    assert answer.headers["x-request-id"] != "mine"
    typed = service.ask(
        "POST", TAKES_NONE, USER, b"Content_Type: application/json", length(b"{}"), body=b"{}"
    )
    assert typed.status == 415


@pytest.mark.parametrize(
    ("body", "status"), [(b"{}", 404), (b'{"a": 1}', 400), (b"{", 400), (b"", 404)]
)
def test_a_chunked_body_is_a_body_like_any_other(service, body, status):
    whole = service.ask("POST", TAKES_NONE, USER, JSON, length(body), body=body)
    parts = [body[:1], body[1:]] if len(body) > 1 else [body] if body else []
    for sent in {
        chunks(*parts),
        chunks(*parts).replace(b"\r\n", b";x=y\r\n", 1) if parts else b"0\r\n\r\n",
    }:
        chunked = service.ask("POST", TAKES_NONE, USER, JSON, CHUNKED, body=sent)
        assert chunked.status == whole.status == status
        told, expected = json.loads(chunked.body), json.loads(whole.body)
        told.pop("request_id"), expected.pop("request_id")
        assert told == expected


@pytest.mark.parametrize("size", [LIMIT + 1, 4 * LIMIT])
def test_over_five_mebibytes_is_413_and_the_sender_hears_it(service, size):
    body = b" " * size
    answers = [
        service.ask("POST", TAKES_NONE, USER, JSON, length(body), body=body),
        service.ask("POST", TAKES_NONE, USER, JSON, CHUNKED, body=chunks(body)),
        service.ask(
            "POST",
            TAKES_NONE,
            USER,
            JSON,
            CHUNKED,
            body=chunks(*[body[:65536]] * (size // 65536 + 1)),
        ),
    ]
    assert {answer.status for answer in answers} == {413}
    assert json.loads(answers[0].body)["type"] == "urn:problem:too-large"


def test_exactly_five_mebibytes_are_read(service):
    body = b"{}" + b" " * (LIMIT - 2)
    assert service.ask("POST", TAKES_NONE, USER, JSON, length(body), body=body).status == 404


def test_a_sender_who_leaves_in_the_middle_has_sent_nothing(service):
    request = b"POST /api/v1/quizzes/nothing/attempts/ HTTP/1.1\r\nHost: localhost\r\n"
    request += b"\r\n".join([USER, JSON, b"Content-Length: 100", b"X-Request-ID: left", b"", b"{}"])
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
    lines = [json.loads(x) for x in service.output.splitlines() if '"left"' in x]
    assert [line["status"] for line in lines] in ([], [400])


def test_slow_senders_keep_nobody_waiting(service):
    head = b"POST /api/v1/quizzes/nothing/attempts/ HTTP/1.1\r\nHost: localhost\r\n"
    head += b"\r\n".join([USER, JSON, b"Content-Length: 2", b"Connection: close", b"", b"{"])
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(64)]
    try:
        for connection in slow:
            connection.sendall(head)
        assert service.ask("GET", BALANCE, USER).status == 200
        for connection in slow:
            connection.sendall(b"}")
        for connection in slow:
            connection.settimeout(30)
            assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize(
    "path", [BALANCE, "/api/v1/nothing/", "/health/ready/", "/static/admin/css/base.css"]
)
def test_head_is_get_without_a_body(service, path):
    get, head = service.ask("GET", path, USER), service.ask("HEAD", path, USER)
    assert head.body == b""
    assert head.status == get.status
    same = {"content-type", "content-length"} & get.headers.keys()
    assert {name: head.headers[name] for name in same} == {name: get.headers[name] for name in same}


def test_a_connection_serves_many_requests_and_stays_in_step(service):
    request = b"\r\n".join([b"HEAD /api/v1/nothing/ HTTP/1.1", b"Host: localhost", b"", b""])
    request += b"\r\n".join(
        [b"GET /api/v1/nothing/ HTTP/1.1", b"Host: localhost", JSON, length(b"{}"), b"", b"{}"]
    )
    last = b"\r\n".join(
        [b"GET /health/live/ HTTP/1.1", b"Host: localhost", b"Connection: close", b"", b""]
    )
    answer = service.send(request * 3 + last)
    assert answer.status == 404
    assert answer.body.count(b"HTTP/1.1 404") == 5
    assert answer.body.count(b"HTTP/1.1 204") == 1


def test_headers_and_queries_may_be_long(service):
    answer = service.ask("GET", f"{BALANCE}?{'a' * 60_000}", USER, b"x-long: " + b"a" * 100_000)
    assert answer.status == 200
    assert service.ask("GET", f"{BALANCE}?{'a' * 100_000}", USER).status in (200, 414)


@pytest.mark.parametrize(
    "path",
    ["/api/v1/%00", "/api/v1/%ff%fe/", "/api/v1/../../etc/passwd", "/api//v1/", "/api/%2e%2e/"],
)
def test_no_path_is_an_error_of_ours(service, path):
    assert service.ask("GET", path, USER).status == 404


def test_static_files_come_whole(service):
    answer = service.ask("GET", "/static/admin/css/base.css")
    assert answer.status == 200
    assert len(answer.body) == int(answer.headers["content-length"])
    assert "x-request-id" in answer.headers


def test_the_figures_of_all_processes_add_up(service):
    asked = 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: service.ask("GET", f"/api/v1/nothing/{n}"), range(asked)))
        list(pool.map(lambda n: service.ask(f"WEIRD{n}", "/health/live/"), range(20)))
    assert {answer.status for answer in answers} == {404}
    figures = service.ask("GET", "/metrics/").body.decode()
    unknown = [
        x
        for x in figures.splitlines()
        if x.startswith("accrue_http_requests_total") and 'route="^api/"' in x
    ]
    assert sum(float(x.split()[-1]) for x in unknown if 'method="GET"' in x) >= asked
    assert "nothing" not in figures
    assert "WEIRD" not in figures
    assert 'method="other"' in figures
    assert len(list(service.directory.glob("metrics-*/counter_*.db"))) >= 2


def test_the_log_is_one_json_object_a_line(service):
    service.ask("GET", "/api/v1/nothing/%0a%22", b"X-Request-ID: one-line")
    lines = service.output[service.output.index("Ctrl-C") :].splitlines()[2:]
    (line,) = [x for x in map(json.loads, filter(None, lines)) if x["request_id"] == "one-line"]
    assert (line["path"], line["status"]) == ('/api/v1/nothing/\n"/', 404)
