"""A proxy with moods before the real service."""

from __future__ import annotations

import http.client
from contextlib import closing
from urllib.parse import urlsplit

from usage_client.testing.frontend import Frontend, Reply, Request

HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding", "host"}


class Proxy(Frontend):
    """`Proxy("http://127.0.0.1:8000", api_key)`: as the service there, and then its moods."""

    def __init__(self, upstream: str, api_key: str, *, timeout: float = 30.0) -> None:
        super().__init__(api_key)
        parts = urlsplit(upstream)
        self._upstream = parts.hostname or "", parts.port
        self._timeout = timeout

    def answer(self, request: Request) -> Reply:
        kept = {
            name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        }
        upstream = http.client.HTTPConnection(*self._upstream, timeout=self._timeout)
        try:
            with closing(upstream):
                upstream.request(request.method, request.target, request.body or None, kept)
                answer = upstream.getresponse()
                headers = {
                    name: value
                    for name, value in answer.getheaders()
                    if name.lower() not in HOP_BY_HOP
                }
                return Reply(answer.status, answer.read(), headers)
        except (OSError, http.client.HTTPException):
            return Reply(502, b"the service is away")
