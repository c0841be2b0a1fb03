"""What every request passes: its id and its line in the log, its slash, its problem document."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.multipartparser import MultiPartParserError

from common import metrics, problems
from common.logs import request_id

logger = logging.getLogger("accrue.access")

Handler = Callable[[HttpRequest], HttpResponseBase]
CALLERS_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class RequestContext:
    """Outermost: gives the request its id, counts it and writes its line in the log."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        own_id = given if CALLERS_ID.fullmatch(given) else str(uuid.uuid4())
        token = request_id.set(own_id)
        try:
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


class ProblemDocuments:
    """Whatever went wrong outside of a DRF view under /api/ is a problem document too."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if (
            response.status_code >= 400
            and request.path_info.startswith("/api/")
            and response.get("Content-Type") != problems.CONTENT_TYPE
        ):
            return problems.plain_response(problems.from_status(response.status_code))
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not request.path_info.startswith("/api/") or isinstance(error, MultiPartParserError):
            return None
        return problems.plain_response(problems.problem_of(error))


class TrailingSlash:
    """`/api/v1/quizzes` is `/api/v1/quizzes/`, without a redirect that would lose a body."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not path.endswith("/") and path.startswith(("/api/", "/health/", "/metrics")):
            request.path_info = path + "/"
            request.path += "/"
        return self.get_response(request)
