"""A receiver may do what it likes: it costs us some seconds and tells us one word."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from incentives.partners import addresses, transport
from incentives.partners.tests import receiver as behaves
from incentives.partners.tests.receiver import receiving, says
from incentives.partners.transport import Answer, Line, NoAnswer


def post(url: str, body: bytes, headers: dict[str, str], *, seconds: float) -> Answer:
    with Line(url) as line:
        return line.post(body, headers, seconds=seconds)


@pytest.fixture(autouse=True)
def _on_this_machine(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True


def test_what_arrives_is_what_was_sent():
    with receiving(says(204)) as receiver:
        answer = post(receiver.url, b'{"a":1}', {"Content-Type": "application/json"}, seconds=5)
    assert answer.status == 204
    (received,) = receiver.received
    assert (received.path, received.body) == ("/hook", '{"a":1}')
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["content-type"] == "application/json"


@contextmanager
def staying(*bodies: bytes) -> Iterator[tuple[str, list[int]]]:
    """A receiver that keeps its connections open for these answers each; which ports asked."""
    asked = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            for body in bodies:
                received = b""
                while not received.endswith(b"{}"):
                    if not (more := self.request.recv(65536)):
                        return
                    received += more
                asked.append(self.client_address[1])
                self.request.sendall(body)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", asked
        finally:
            server.shutdown()
            thread.join()


SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [SHORT, CHUNKED])
def test_a_connection_serves_several_while_the_receiver_keeps_it(answer):
    with staying(answer, answer) as (url, asked), Line(url) as line:
        for _ in range(4):
            assert line.post(b"{}", {}, seconds=5).status == 200
    assert len(asked) == 4
    assert len(set(asked)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99999,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
def test_what_cannot_be_read_past_costs_its_connection_alone(answer):
    with staying(answer, answer) as (url, asked), Line(url) as line:
        for _ in range(2):
            assert line.post(b"{}", {}, seconds=5).status == 200
    assert len(set(asked)) == 2


def test_who_closed_a_kept_connection_meanwhile_is_asked_again():
    with staying(SHORT, b"") as (url, asked), Line(url) as line:
        for _ in range(2):
            assert line.post(b"{}", {}, seconds=5).status == 200
    assert len(asked) == 3


def test_who_broke_off_later_may_have_taken_it_and_is_not_asked_twice(monkeypatch):
    monkeypatch.setattr(transport, "SECONDS_TO_CLOSE", -1)
    with staying(SHORT, b"") as (url, asked), Line(url) as line:
        line.post(b"{}", {}, seconds=5)
        with pytest.raises(NoAnswer, match="disconnected"):
            line.post(b"{}", {}, seconds=5)
    assert len(asked) == 2


def test_a_new_connection_is_vetted_anew(settings):
    with staying(SHORT) as (url, asked), Line(url) as line:
        line.post(b"{}", {}, seconds=5)
        settings.WEBHOOKS_TO_LOOPBACK = False
        with pytest.raises(addresses.Refused):
            line.post(b"{}", {}, seconds=5)
    assert len(asked) == 1


def test_a_redirect_is_an_answer_and_is_not_followed():
    with receiving() as elsewhere, receiving(says(302, f"Location: {elsewhere.url}")) as receiver:
        assert post(receiver.url, b"{}", {}, seconds=5).status == 302
        assert elsewhere.received == []


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    with receiving() as proxy, receiving() as receiver:
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url, b"{}", {}, seconds=5).status == 204
        assert (len(proxy.received), len(receiver.received)) == (0, 1)


@pytest.mark.parametrize(
    ("behaviour", "word"),
    [
        (behaves.resets, "disconnected"),
        (behaves.hangs_up, "disconnected"),
        (behaves.talks_nonsense, "not-http"),
        (behaves.has_endless_headers, "not-http"),
    ],
)
def test_what_is_no_answer_is_told_by_a_word(behaviour, word):
    with receiving(behaviour) as receiver, pytest.raises(NoAnswer, match=word):
        post(receiver.url, b"{}", {}, seconds=5)


@pytest.mark.parametrize("behaviour", [behaves.says_nothing, behaves.drips, behaves.continues])
def test_patience_ends_on_time_also_with_who_sends_a_byte_now_and_then(behaviour):
    started = time.monotonic()
    with receiving(behaviour) as receiver, pytest.raises(NoAnswer, match="timeout"):
        post(receiver.url, b"{}", {}, seconds=0.5)
    assert 0.4 < time.monotonic() - started < 3


def test_who_does_not_even_accept_is_late_too():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with pytest.raises(NoAnswer, match="timeout"):
            post(url, b"{}", {}, seconds=0.3)


def test_nobody_there_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(NoAnswer, match="refused"):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, seconds=5)


def test_a_body_without_end_is_not_waited_for():
    started = time.monotonic()
    with receiving(behaves.pours(200)) as receiver:
        assert post(receiver.url, b"{}", {}, seconds=30).status == 200
    assert time.monotonic() - started < 5


def test_a_body_that_does_not_fit_the_pipe_ends_on_time():
    with receiving(behaves.says_nothing) as receiver, pytest.raises(NoAnswer):
        post(receiver.url, b"x" * 50_000_000, {}, seconds=0.5)


def test_where_only_we_can_go_nothing_is_sent(settings):
    settings.WEBHOOKS_TO_LOOPBACK = False
    with receiving() as receiver, pytest.raises(addresses.Refused):
        post(receiver.url.replace("http", "https"), b"{}", {}, seconds=5)
    assert receiver.received == []


@pytest.fixture
def secure(tmp_path):
    """A certificate of `localhost` that vouches for itself, and a server that shows it once."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    name = ["-addext", "subjectAltName=DNS:localhost"]
    where = ["-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *made, *name, *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=greet, args=(server, context))
        thread.start()
        yield certificate, server.getsockname()[1]
        thread.join()


def greet(server, context):
    link, _ = server.accept()
    with link, suppress(OSError), context.wrap_socket(link, server_side=True) as shown:
        # The body comes in a piece of its own; closed before that is read, the answer is lost.
        received = b""
        while not received.endswith(b"{}"):
            received += shown.recv(65536) or b"{}"
        says(200)(shown)


def test_a_certificate_that_nobody_vouches_for_is_refused(secure):
    _, port = secure
    with pytest.raises(NoAnswer, match="certificate"):
        post(f"https://localhost:{port}/", b"{}", {}, seconds=5)


def test_a_certificate_must_be_of_the_name(secure, monkeypatch):
    certificate, port = secure
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(transport, "trust", lambda: trusting)
    with pytest.raises(NoAnswer, match="certificate"):
        post(f"https://127.0.0.1:{port}/", b"{}", {}, seconds=5)


def test_with_the_right_certificate_all_is_well(secure, monkeypatch):
    certificate, port = secure
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(transport, "trust", lambda: trusting)
    assert post(f"https://localhost:{port}/", b"{}", {}, seconds=5).status == 200


def test_who_speaks_no_tls_is_told_by_a_word():
    with receiving(behaves.talks_nonsense) as receiver, pytest.raises(NoAnswer, match="tls"):
        post(receiver.url.replace("http", "https"), b"{}", {}, seconds=2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("999999999", 999_999_999),
        ("9999999999", None),
        ("-1", None),
        ("1.5", None),
        ("\uff11", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0),
        ("Mon, 99 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    found = transport.waiting_time(text)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_a_date_to_come_is_waited_for():
    soon = datetime.now(UTC) + timedelta(minutes=5)
    found = transport.waiting_time(format_datetime(soon, usegmt=True))
    assert found is not None
    assert timedelta(minutes=4) < found <= timedelta(minutes=5)
