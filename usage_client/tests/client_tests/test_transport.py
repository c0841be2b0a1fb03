import os
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from client_tests.samples import hosting, wait_for
from usage_client import Misconfigured, Unavailable, Usage, UsageClient, UsageError
from usage_client.testing import UsageServer


@pytest.mark.parametrize("path", ["", "/", "/api/v1", "/api/v1/"])
def test_the_base_is_the_host_with_or_without_what_follows(server: UsageServer, path: str) -> None:
    with UsageClient(server.url + path, server.api_key) as client:
        assert client.base_url == server.url
        client.record(**hosting())


def test_a_base_with_a_path_keeps_it() -> None:
    assert UsageClient("https://host/team/", "k").base_url == "https://host/team"


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://host", "https://", "https://host?x=1", "https://host#x", "https://h:port",
     "https://user:word@host", "https://[", None, 5],
)  # fmt: skip
def test_a_base_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        UsageClient(url, "key")
    assert (caught.value.idempotency_key, caught.value.body) == (None, b"")
    assert caught.value.outcome_known
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("host", ["accrue.internal", "localhost.evil.example", "10.0.0.7:8000"])
def test_a_key_that_travels_in_the_clear_is_warned_of(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert UsageClient(f"http://{host}", "the-key").base_url == f"http://{host}"
    [warning] = caplog.records
    assert (warning.name, warning.levelname) == ("usage_client", "WARNING")
    assert "the-key" not in warning.getMessage()


def test_on_this_machine_nobody_reads_along(caplog: pytest.LogCaptureFixture) -> None:
    for here in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]"):
        UsageClient(f"http://{here}:8000", "key")
    UsageClient("https://accrue.internal", "key")
    assert not caplog.records


def test_a_host_that_is_not_found_is_out_of_reach() -> None:
    usage = Usage(**hosting(), idempotency_key="k")
    with pytest.raises(Unavailable) as caught:
        UsageClient("http://does-not-exist.invalid", "key", deadline=0.5).send(usage)
    assert (caught.value.idempotency_key, caught.value.body) == ("k", usage.body)


@pytest.mark.parametrize(
    "key", ["", " ", "key\n", "a b", "schlüssel", "k\r\nX-Evil: 1", None, b"k"]
)
def test_an_api_key_with_anything_else_in_it_is_refused_unseen(key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        UsageClient("https://host", key)
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize("deadline", [0, -1, float("inf"), float("nan")])
def test_a_deadline_is_a_number_of_seconds(deadline: float) -> None:
    with pytest.raises(Misconfigured):
        UsageClient("https://host", "key", deadline=deadline)


def test_the_environment_counts_only_when_asked(
    server: UsageServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.client().record(**hosting())
    with pytest.raises(UsageError):
        server.client(trust_env=True, deadline=0.2).record(**hosting())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.client(trust_env=True).record(**hosting())
    assert {request.headers["Authorization"] for request in server.requests} == {
        f"Bearer {server.api_key}"
    }


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_certificate_that_is_not_trusted_ends_it_at_once(
    server: UsageServer, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
         certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    assert server._server
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    url = f"https://localhost:{server.port}"
    with pytest.raises(Misconfigured, match="not trusted") as caught:
        UsageClient(url, server.api_key, deadline=5).record(**hosting())
    assert caught.value.attempts == 1
    assert caught.value.outcome_known
    with UsageClient(url, server.api_key, verify=str(certificate), deadline=5) as client:
        assert client.record(**hosting()).attempts == 1


def test_cookies_are_not_kept(server: UsageServer, client: UsageClient) -> None:
    def sticky(exchange):  # type: ignore[no-untyped-def]
        reply = exchange.answer()
        exchange.send(type(reply)(reply.status, reply.body, {"Set-Cookie": "a=b; Path=/"}))

    server.then(sticky)
    client.record(**hosting())
    client.record(**hosting())
    assert server.requests[1].headers["Cookie"] is None


def test_connections_are_kept_and_as_many_as_callers(server: UsageServer) -> None:
    client = server.client()
    for _ in range(5):
        client.record(**hosting())
    assert server._server
    assert len(server._server.connections) == 1


def test_a_forgotten_client_leaves_no_threads(server: UsageServer) -> None:
    before = set(threading.enumerate())

    def lines() -> int:
        now = set(threading.enumerate()) - before
        return sum(each.name == "usage-client-line" for each in now)

    client = UsageClient(server.url, server.api_key)
    client.record(**hosting())
    assert lines() == 1
    del client
    wait_for(lambda: lines() == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(server: UsageServer) -> None:
    client = server.client()
    client.record(**hosting(identity="parent"))
    if (child := os.fork()) == 0:
        try:
            for number in range(20):
                client.record(**hosting(identity=f"child {number}"))
            os._exit(0)
        finally:
            os._exit(1)
    for number in range(20):
        client.record(**hosting(identity=f"parent {number}"))
    assert os.waitpid(child, 0)[1] == 0
    assert len(server.records) == 41


def test_where_no_thread_can_start_a_call_is_made_all_the_same(
    server: UsageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        # The server has threads of its own.
        real = threading.Thread.start
        patch.setattr(
            threading.Thread,
            "start",
            lambda each: refuse(each) if each.name.startswith("usage-client") else real(each),
        )
        client = server.client()
        client.record(**hosting())
        with client.buffered() as buffer:
            buffer.record(**hosting())
    assert len(server.records) == 2
