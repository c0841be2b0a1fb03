"""What every request passes: its id and its line in the log, its slash, its problem document."""

import logging
import re
import time
from collections.abc import Callable
from random import getrandbits
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import ResolverMatch, URLResolver, get_resolver, resolve

from common import metrics, problems
from common.logs import request_id
from common.server import REFUSAL

logger = logging.getLogger("accrue.access")

Handler = Callable[[HttpRequest], HttpResponseBase]
CALLERS_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
STRAIGHT = ("/api/", "/health/", "/metrics")


class RequestContext:
    """Outermost: gives the request its id, counts it and writes its line in the log."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        # No secret, so that the system need not be asked for bits.
        own_id = (
            given if CALLERS_ID.fullmatch(given) else str(UUID(int=getrandbits(128), version=4))
        )
        token = request_id.set(own_id)
        try:
            if refusal := request.META.get(REFUSAL):
                response: HttpResponseBase = problems.plain_response(problems.from_status(refusal))
            else:
                response = self.get_response(request)
            response["X-Request-ID"] = own_id
            seconds = time.perf_counter() - started
            match = request.resolver_match
            route = match.route if match else ""
            metrics.observe(request.method or "", route, response.status_code, seconds)
            logger.info(
                "%s %s %s",
                request.method,
                request.path,
                response.status_code,
                extra={
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "milliseconds": round(seconds * 1000, 1),
                },
            )
            return response
        finally:
            request_id.reset(token)


class ApiBorder:
    """An API call goes straight to its view: it has no session, no form and no page.

    Django's middleware for pages took about a quarter of a posting's time in Python.
    Whatever goes wrong on the way is a problem document.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not f"{request.path_info}/".startswith(STRAIGHT):
            return self.get_response(request)
        # `/api/v1/quizzes` is `/api/v1/quizzes/`: a redirect would lose a body.
        if not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        try:
            response = answer(request)
        except Exception as error:
            response = problems.plain_response(problems.problem_of(error))
        if is_foreign_error(request, response):
            response = problems.plain_response(problems.from_status(response.status_code))
        response["X-Content-Type-Options"] = "nosniff"
        if isinstance(response, HttpResponse):
            response["Content-Length"] = str(len(response.content))
        return response


def is_foreign_error(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether a library worded a refusal in its own way."""
    return (
        response.status_code >= 400
        and request.path_info.startswith("/api/")
        and response.get("Content-Type") != problems.CONTENT_TYPE
    )


def answer(request: HttpRequest) -> HttpResponseBase:
    if request.path_info.startswith("/api/"):
        request.get_host()  # refuses a name that is not ours; a probe knows our address only
    refuse_nul(request)
    match = match_of(request.path_info)
    request.resolver_match = match
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if isinstance(response, SimpleTemplateResponse):
        response.render()
    return response


_literal: dict[tuple[URLResolver, str], ResolverMatch] = {}


def match_of(path: str) -> ResolverMatch:
    """What answers this path; a route without parameters, as the busiest are, is found once."""
    key = get_resolver(), path
    match = _literal.get(key)
    if match is None:
        match = resolve(path)
        if match.route == path[1:]:
            _literal[key] = match
    return match


def refuse_nul(request: HttpRequest) -> None:
    if "%00" in request.META.get("QUERY_STRING", ""):
        for name, values in request.GET.lists():
            if "\x00" in name or any("\x00" in value for value in values):
                raise problems.InvalidInput(
                    problems.fault(f"/{name}", "nul", "NUL is not allowed in text.")
                )
