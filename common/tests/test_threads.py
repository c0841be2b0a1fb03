"""What the server does with requests that it cannot answer at once, or not at all."""

import asyncio
import gc
import threading
from types import SimpleNamespace

import pytest
from granian.rsgi import ProtocolClosed

from common import server
from common.idempotency import VISIBLE_ASCII
from common.server import REFUSAL, Threaded, environ_of


class Headers:
    def __init__(self, pairs):
        self.pairs = pairs

    def keys(self):
        return list(dict(self.pairs))

    def get_all(self, name):
        return [value for key, value in self.pairs if key == name and value.isascii()]


def scope(*headers, **more):
    found = {
        "http_version": "1.1",
        "server": "127.0.0.1:8000",
        "client": "127.0.0.1:50000",
        "scheme": "http",
        "method": "POST",
        "path": "/a/é",
        "query_string": "b=c",
        "authority": None,
        **more,
    }
    return SimpleNamespace(headers=Headers(headers), **found)


class Protocol:
    """What granian gives us: the body in chunks, and a way to answer."""

    def __init__(self, *chunks, stays_open=False):
        self.chunks, self.stays_open, self.answers, self.sent = chunks, stays_open, [], []

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk
        if self.stays_open:
            await asyncio.sleep(60)

    def response_bytes(self, status, headers, body):
        self.answers.append((status, body))

    def response_empty(self, status, headers):
        self.answers.append((status, b""))

    def response_stream(self, status, headers):
        async def send_bytes(chunk):
            self.sent.append(chunk)

        self.answers.append((status, None))
        return SimpleNamespace(send_bytes=send_bytes)


def says(text):
    def application(environ, start_response):
        start_response("200 OK", [])
        refusal = environ.get(REFUSAL, "")
        return [f"{text}{refusal}".encode(), environ["wsgi.input"].read()]

    return application


def ask(application, *protocols, headers=(), limit=10, threads=1):
    async def run():
        threaded = Threaded(application, threads=threads, body_limit=limit)
        await asyncio.gather(*(threaded.__rsgi__(scope(*headers), p) for p in protocols))
        threaded.__rsgi_del__(asyncio.get_running_loop())

    asyncio.run(run())
    return [protocol.answers for protocol in protocols]


def test_the_environment_of_a_request_is_the_requests_alone(monkeypatch):
    monkeypatch.setenv("HTTP_X_ZMRN_USER_ID", "7")
    environ = environ_of(scope(("host", "here"), ("x-a", "1"), ("x-a", "2"), ("x_a", "3")))
    headers = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    assert headers == {"HTTP_HOST": "here", "HTTP_X_A": "1, 2"}
    assert not environ.keys() & {"PATH", "HOME", "CONTENT_LENGTH", "CONTENT_TYPE"}
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a/é"


def test_a_key_that_came_twice_is_no_key():
    twice = environ_of(scope(("idempotency-key", "a"), ("idempotency-key", "b")))
    assert not VISIBLE_ASCII.fullmatch(twice["HTTP_IDEMPOTENCY_KEY"])


def test_a_header_that_is_not_ascii_is_there_and_empty():
    assert environ_of(scope(("idempotency-key", "é")))["HTTP_IDEMPOTENCY_KEY"] == ""


def test_a_request_without_a_host_has_its_addresss():
    assert environ_of(scope(authority="there"))["HTTP_HOST"] == "there"
    assert environ_of(scope())["HTTP_HOST"] == ""


@pytest.mark.parametrize("header", [("content-length", "5"), ("transfer-encoding", "chunked")])
def test_a_body_is_whole_before_it_is_looked_at(header):
    assert ask(says(""), Protocol(b"he", b"llo"), headers=[header]) == [[(200, b"hello")]]


def test_no_more_than_one_byte_beyond_the_limit_matters():
    (((_, body),),) = ask(says(""), Protocol(*[b"123"] * 100), headers=[("content-length", "300")])
    assert len(body) == 12


def test_a_body_shorter_than_announced_is_refused():
    answers = ask(says("refused "), Protocol(b"{}"), headers=[("content-length", "3")])
    assert answers == [[(200, b"refused 400{}")]]


def test_a_body_that_takes_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(server, "SLOWEST_BODY", 0.01)
    slow = Protocol(b"{", stays_open=True)
    answers = ask(says("refused "), slow, headers=[("transfer-encoding", "chunked")])
    assert answers == [[(200, b"refused 408")]]


def test_whoever_waits_too_long_for_a_thread_is_refused_and_nothing_of_his_is_done(monkeypatch):
    monkeypatch.setattr(server, "LONGEST_QUEUE", 0.01)
    second_is_refused, done = threading.Event(), []

    def application(environ, start_response):
        start_response("200 OK", [])
        if environ.get(REFUSAL):
            second_is_refused.set()
            return [b"refused %d" % environ[REFUSAL]]
        done.append(environ)
        assert second_is_refused.wait(30)
        return [b"done"]

    assert ask(application, Protocol(), Protocol()) == [[(200, b"done")], [(200, b"refused 503")]]
    assert len(done) == 1


def test_a_stream_is_sent_as_it_comes_and_closed():
    class Stream(list):
        streaming, is_closed = True, False

        def close(self):
            self.is_closed = True

    stream, protocol = Stream([b"a", b"b", b"c"]), Protocol()
    assert ask(lambda environ, start: start("206 Some", []) or stream, protocol) == [[(206, None)]]
    assert protocol.sent == [b"a", b"b", b"c"]
    assert stream.is_closed


def test_a_stream_ends_when_its_reader_leaves_and_that_is_no_error(caplog):
    class Leaver(Protocol):
        def response_stream(self, status, headers):
            async def send_bytes(chunk):
                if len(self.sent) == 2:
                    raise ProtocolClosed
                self.sent.append(chunk)

            return SimpleNamespace(send_bytes=send_bytes)

    def chunks():
        try:
            for _ in range(100):
                yield b"a"
        finally:
            closed.append(True)

    class Stream:
        streaming = True

        def __init__(self):
            self.chunks = chunks()
            self.close = self.chunks.close

        def __iter__(self):
            return self.chunks

    closed, leaver = [], Leaver()
    assert ask(lambda environ, start: start("200 OK", []) or Stream(), leaver) == [[]]
    assert (leaver.sent, closed, caplog.records) == ([b"a", b"a"], [True], [])


def test_an_error_outside_of_django_is_a_bare_500(caplog):
    def application(environ, start_response):
        raise ValueError("secret")

    assert ask(application, Protocol()) == [[(500, b"")]]
    assert "secret" in caplog.text


def test_what_was_loaded_at_the_start_is_no_garbage_to_look_through():
    thresholds = gc.get_threshold()
    try:
        Threaded(says(""), threads=1, body_limit=10).__rsgi_init__(None)
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
