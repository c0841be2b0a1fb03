"""Problem documents (RFC 9457): the one shape of every error under /api/."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from common.logs import request_id
from common.renderers import JSONRenderer

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


class Fault(TypedDict):
    """One thing wrong; `pointer` is a JSON Pointer into the body, or `/parameter`."""

    pointer: str
    code: str
    detail: str


class Extra(TypedDict):
    errors: NotRequired[list[Fault]]


class Problem(Exception):
    """An expected refusal. Subclasses live beside the service that raises them."""

    status = 400
    code = "bad-request"
    title = "The request cannot be carried out"

    def __init__(
        self,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.headers = dict(headers or {})
        self.extra = extra


class NotFound(Problem):
    # The same words for what is somebody else's and for what does not exist.
    status, code, title = 404, "not-found", "There is no such thing"


class InvalidInput(Problem):
    status, code, title = 400, "invalid-input", "Some of the input is not valid"

    def __init__(self, *faults: Fault) -> None:
        lines = [f"{each['pointer']}: {each['detail']}".removeprefix(": ") for each in faults]
        super().__init__("; ".join(lines)[:500])
        self.extra = {"errors": list(faults)}


class MalformedJSON(Problem):
    status, code, title = 400, "malformed-json", "The body is not JSON"


class TooLarge(Problem):
    status, code, title = 413, "too-large", "The body is too large"


class Unavailable(Problem):
    status, code, title = 503, "unavailable", "Try again in a moment"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class Unexpected(Problem):
    status, code, title = 500, "internal-error", "Something went wrong on our side"


def fault(pointer: str, code: str, detail: str) -> Fault:
    # A pointer may quote a name that is itself no text.
    return {"pointer": pointer.encode(errors="replace").decode(), "code": code, "detail": detail}


def respond(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler."""
    problem = problem_of(error)
    # Also where the view renders something else, a page for example.
    request = context["request"]
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), CONTENT_TYPE
    response = Response(
        document(problem), problem.status, headers=problem.headers, content_type=CONTENT_TYPE
    )
    response.exception = True
    return response


def plain_response(problem: Problem) -> JsonResponse:
    """The same where DRF is not in charge: middleware, unknown paths."""
    return JsonResponse(
        document(problem),
        status=problem.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def document(problem: Problem) -> dict[str, Any]:
    return {
        "type": f"urn:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id.get(),
        **problem.extra,
    }


def problem_of(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case exceptions.ValidationError():
            return InvalidInput(*faults_of(error.detail))
        case exceptions.APIException():
            return from_drf(error)
        case Http404():
            return NotFound()
        case PermissionDenied():
            return from_status(403)
        case RequestDataTooBig():
            return TooLarge()
        case SuspiciousOperation() | BadRequest():
            return from_status(400)
        case OperationalError() | InterfaceError():
            logger.warning("The database is away or busy: %s", type(error.__cause__ or error))
            return Unavailable()
        case DataError():
            # A value that only the database found too large: the caller's mistake all the same.
            logger.warning("A value reached the database that it refused", exc_info=error)
            return InvalidInput(fault("", "out-of-range", "A value is out of range."))
        case _:
            logger.error("Unexpected error", exc_info=error)
            return Unexpected()


TITLES = {
    400: ("bad-request", "The request cannot be understood"),
    401: ("not-authenticated", "Who is calling is not known"),
    403: ("forbidden", "The caller may not do this"),
    404: (NotFound.code, NotFound.title),
    405: ("method-not-allowed", "This method is not allowed here"),
    406: ("not-acceptable", "No such representation"),
    408: ("request-timeout", "The body did not arrive in time"),
    411: ("length-required", "The request needs a Content-Length"),
    413: (TooLarge.code, TooLarge.title),
    415: ("unsupported-media-type", "The body must be application/json"),
    429: ("too-many-requests", "Too many requests"),
}


def from_status(status: int, detail: str = "") -> Problem:
    if status == Unavailable.status:
        return Unavailable()
    problem: Problem = Problem(detail) if status < 500 else Unexpected(detail)
    problem.status = status
    problem.code, problem.title = TITLES.get(status, (problem.code, problem.title))
    problem.detail = detail or problem.title
    return problem


def from_drf(error: exceptions.APIException) -> Problem:
    detail = error.detail if isinstance(error.detail, str) else ""
    problem = from_status(error.status_code, str(detail))
    if header := getattr(error, "auth_header", None):
        problem.headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        problem.headers["Retry-After"] = str(int(wait))
    return problem


def faults_of(detail: Any, pointer: str = "") -> Iterator[Fault]:
    """DRF's nested error details, flat."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else f"/{escape(str(name))}"
            yield from faults_of(inner, pointer + step)
    elif isinstance(detail, list) and any(isinstance(each, (Mapping, list)) for each in detail):
        for index, inner in enumerate(detail):
            yield from faults_of(inner, f"{pointer}/{index}")
    elif isinstance(detail, list):
        for inner in detail:
            yield from faults_of(inner, pointer)
    else:
        code = str(getattr(detail, "code", "invalid")).replace("_", "-")
        yield fault(pointer, code, str(detail))


def escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
