"""One request and its answer within a time, whatever blocks: names, handshakes, dripping bytes."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, SimpleQueue
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from usage_client.answers import Answer
from usage_client.errors import Misconfigured
from usage_client.version import __version__

logger = logging.getLogger("usage_client")

CONNECT_SECONDS = 3.05
# A thousand verdicts are some 100 KiB.
LARGEST_ANSWER = 16 * 1024 * 1024
LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


class NoAnswer(Exception):
    """Nothing usable came back. `was_sent` False: the request never left."""

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


@dataclass(frozen=True)
class Call:
    """The bytes of one request, fixed for all attempts."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]


class Transport:
    """Keeps connections, one for each call that is under way at the same time."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        application: str = "",
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        trust_env: bool = False,
    ) -> None:
        self.base_url = checked_url(base_url)
        self._api_key = checked_key(api_key)
        self._application = application
        self._verify, self._trust_env = verify, trust_env
        self._proxies = dict(proxies or {})
        self._pid = os.getpid()
        self._idle: list[Line] = []
        self._watch()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def send(self, call: Call, request_id: str, timeout: float) -> Answer:
        """Raises NoAnswer, or Misconfigured for what another attempt does not change."""
        line = self._line()
        try:
            answer = line.ask(self._job(call, request_id, timeout), timeout)
        except BaseException:
            # Whatever may still come on this line belongs to nobody.
            line.hang_up()
            raise
        self._idle.append(line)
        return answer

    def close(self) -> None:
        hang_up_all(self._idle)

    def _line(self) -> Line:
        if self._pid != os.getpid():
            # After a fork the threads are the parent's, and so are the connections.
            self._finalizer.detach()
            self._idle, self._pid = [], os.getpid()
            self._watch()
        # list.pop and list.append are atomic: no lock that a fork could leave locked.
        with suppress(IndexError):
            return self._idle.pop()
        return Line(self._session())

    def _watch(self) -> None:
        """Whoever forgets a client leaves no threads behind."""
        self._finalizer = weakref.finalize(self, hang_up_all, self._idle)
        # At exit they end by themselves, and until then a buffer may need them.
        self._finalizer.atexit = False  # type: ignore[misc]

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = self._trust_env
        session.verify = self._verify
        session.proxies = dict(self._proxies)
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers.clear()
        agent = f"usage-client/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"
        session.headers.update(
            {
                "User-Agent": f"{agent} {self._application}".strip(),
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            }
        )
        # As `auth` and not as a header, which an entry in somebody's ~/.netrc would replace.
        session.auth = Bearer(self._api_key)
        for scheme in ("https://", "http://"):
            # Attempts are counted in one place, and that is not here.
            session.mount(scheme, Adapter(max_retries=0, pool_connections=1, pool_maxsize=1))
        return session

    def _job(self, call: Call, request_id: str, timeout: float) -> dict[str, Any]:
        return {
            "method": call.method,
            "url": self.base_url + call.path,
            "data": call.body or None,
            "headers": {**call.headers, "X-Request-ID": request_id},
            "timeout": (min(CONNECT_SECONDS, timeout), timeout),
            # A redirected POST becomes a GET, and another host would see our key.
            "allow_redirects": False,
            "stream": True,
        }


class Line:
    """A session and the thread that speaks on it.

    The thread is what makes the time a promise: a socket's timeout is for each read, so a dripping
    answer outlives it, and looking up a name has none at all. The caller waits for as long as it
    said and then hangs up.
    """

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self.socket: socket.socket | None = None
        self.jobs: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.replies: SimpleQueue[Answer | Exception] = SimpleQueue()
        self.has_thread = True
        try:
            threading.Thread(target=self.work, daemon=True, name="usage-client-line").start()
        except RuntimeError:
            # No threads here (uWSGI without them), or no longer (the interpreter is ending).
            self.has_thread = False

    def ask(self, job: dict[str, Any], timeout: float) -> Answer:
        if self.has_thread:
            self.jobs.put(job)
            try:
                reply = self.replies.get(timeout=timeout)
            except Empty:
                raise NoAnswer(f"no answer within {timeout:.2f} s", was_sent=True) from None
        else:
            here.line = self
            reply = exchange(self.session, job)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def work(self) -> None:
        here.line = self
        while job := self.jobs.get():
            self.replies.put(exchange(self.session, job))
            del job
        self.session.close()

    def hang_up(self) -> None:
        """Ends the thread too, whatever it is reading."""
        self.jobs.put(None)
        if self.socket:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
        if not self.has_thread:
            self.session.close()


here = threading.local()


def hang_up_all(lines: list[Line]) -> None:
    while lines:
        with suppress(IndexError):
            lines.pop().hang_up()


def exchange(session: requests.Session, job: dict[str, Any]) -> Answer | Exception:
    """Never raises: what it returns crosses to another thread. No requests exception gets out,
    because those carry the request, and that the API key."""
    try:
        with session.request(**job) as response:
            body = response.raw.read(LARGEST_ANSWER + 1, decode_content=True)
            if len(body) > LARGEST_ANSWER:
                return NoAnswer("an answer without end", was_sent=True)
            # To its end, so that a body cut short is noticed and the connection can be kept.
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, body)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as error:
        return Misconfigured(str(error))
    except (requests.RequestException, HTTPError, OSError) as error:
        return failure(error)
    except Exception as error:
        # A header or a chunk that http.client chokes on, say.
        return NoAnswer(f"an unreadable answer ({type(error).__name__})", was_sent=True)


def failure(error: Exception) -> Exception:
    causes = list(chain(error))
    for cause in causes:
        if isinstance(cause, SSLCertVerificationError):
            return Misconfigured(f"the service's certificate is not trusted: {cause}")
    was_sent = not any(
        isinstance(each, (NewConnectionError, ConnectTimeoutError)) for each in causes
    )
    deepest = causes[-1]
    return NoAnswer(f"{type(deepest).__name__}: {deepest}"[:300], was_sent=was_sent)


def chain(error: BaseException | None) -> Any:
    """The error and all that it wraps, in any of the ways of requests and urllib3."""
    seen: list[BaseException] = []
    while isinstance(error, BaseException) and error not in seen:
        seen.append(error)
        inner = (*error.args, getattr(error, "reason", None))
        wrapped = [each for each in inner if isinstance(each, BaseException)]
        error = wrapped[0] if wrapped else error.__cause__ or error.__context__
    return seen


class Bearer(requests.auth.AuthBase):
    def __init__(self, api_key: str) -> None:
        self._header = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        here.line.socket = self.sock


class TLSConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        here.line.socket = self.sock


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class TLSPool(HTTPSConnectionPool):
    ConnectionCls = TLSConnection


class Adapter(HTTPAdapter):
    """Connections that the line knows, so that it can hang up."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        knowing(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return knowing(super().proxy_manager_for(proxy, **options))


def knowing(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}
    return manager


def checked_url(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        parts.port  # noqa: B018 - raises when it is none
    except (AttributeError, ValueError):
        raise Misconfigured("base_url is like https://host.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Misconfigured(
            f"base_url is like https://host, not {parts.scheme}://{parts.hostname}."
        )
    if parts.query or parts.fragment or parts.username or parts.password:
        raise Misconfigured("base_url has a host and perhaps a path, nothing else.")
    if parts.scheme == "http" and not LOOPBACK.fullmatch(parts.hostname):
        # Not refused: in a mesh, or between containers, something else encrypts.
        logger.warning("%s is plain http: the API key can be read on the way", parts.hostname)
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def checked_key(api_key: str) -> str:
    if not isinstance(api_key, str) or not re.fullmatch(r"[\x21-\x7e]+", api_key):
        # Not the key itself: messages end up in logs.
        raise Misconfigured(
            "api_key is visible ASCII without spaces or line ends (read from a file? strip it)."
        )
    return api_key
