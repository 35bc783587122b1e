"""Answer errors with `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from connector.errors import ConnectorError, FieldError
from connector.text.redaction import cut

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 250
DEFAULT_RETRY_SECONDS = 5
MUST_TELL_WHEN = frozenset({429, 503})

NO_ROUTE = {
    404: ("not_found", "There is nothing at this URL. /docs lists all routes."),
    405: ("method_not_allowed", "This URL does not answer that method."),
}


class WrongField(BaseModel):
    """One wrong field of the request."""

    detail: str = Field(description="What is wrong with the field.")
    pointer: str = Field(description='A JSON pointer to the field in the body, as "/interview_id".')


class Problem(BaseModel):
    """An error: why the request was not done, and what to do next."""

    type: str = Field(description="The URL of the code's explanation, relative to this server.")
    title: str = Field(description="The code in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(
        max_length=MAX_DETAIL,
        description="What happened, which field, and what to do. At most 250 characters.",
    )
    code: str = Field(description="The reason, for programs; it does not change between versions.")
    message: str = Field(description="The same as detail, for tools that show only a message.")
    errors: list[WrongField] = Field(description="The wrong fields, if the request was at fault.")
    request_id: str = Field(description="The X-Request-Id of this answer; the log holds it too.")
    result: dict[str, Any] | None = Field(
        None, description="What the operation would have answered, when it ended in an error."
    )


def problem(error: ConnectorError, request_id: str) -> Response:
    """Return the answer for an error; 401 names the scheme, 429 and 503 always say when to retry."""
    status = error.http_status
    headers: dict[str, str] = {}
    if error.retry_after is not None or status in MUST_TELL_WHEN:
        headers["Retry-After"] = str(error.retry_after or DEFAULT_RETRY_SECONDS)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = problem_of(status, error.reason, error.message, request_id, error.errors, error.result)
    return _response(body, headers)


def internal_problem(request_id: str) -> Response:
    """Return the answer for a fault of the server: where to look, without details."""
    detail = f"Something failed here. The log has it under {request_id}."
    return _response(problem_of(500, "internal_error", detail, request_id))


async def on_http_exception(request: Request, exc: Exception) -> Response:
    """Answer with a problem to a request that the router refuses (unknown URL, other method)."""
    if not isinstance(exc, HTTPException):
        raise exc
    headers = dict(exc.headers or {})
    code, detail = NO_ROUTE.get(exc.status_code, ("http_error", exc.detail))
    if exc.status_code == 405 and (allowed := headers.get("Allow")):
        detail = f"{detail} It answers: {allowed}."
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    return _response(problem_of(exc.status_code, code, detail, request_id), headers)


def problem_of(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    errors: Sequence[FieldError] = (),
    result: Mapping[str, Any] | None = None,
) -> Problem:
    """Return the body for an error."""
    message = cut(detail, MAX_DETAIL)
    return Problem(
        type=f"/docs#{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=message,
        code=code,
        message=message,
        errors=[WrongField(detail=cut(error.detail, MAX_DETAIL), pointer=error.pointer) for error in errors],
        request_id=request_id,
        result=None if result is None else dict(result),
    )


def as_json(problem: Problem) -> str:
    """Return the JSON object of a problem; `result` is left out if there is none."""
    return problem.model_dump_json(exclude={"result"} if problem.result is None else None)


def _response(body: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(as_json(body), body.status, headers, media_type=MEDIA_TYPE)


_REQUEST_ID = "9f2c61d07a3be845"

_SHOWN = {
    "400": ("malformed_json", "The signature is right, the body is not JSON."),
    "401": ("unauthenticated", "The token is missing; send it as Authorization: Bearer."),
    "403": ("missing_scope", "This needs the scope send, which the token does not have."),
    "404": ("not_found", "launch_id: there is no launch lau_sample on the connection default."),
    "409": ("not_configured", "KOJI_API_KEY is not set for the connection default."),
    "413": ("body_too_large", "The body is larger than 20 MiB; send it in several requests."),
    "415": ("unsupported_content_type", "Content-Type: send application/json, or a form."),
    "422": ("invalid_input", "wait_seconds: must be at most 25"),
    "429": ("too_many_failures", "Too many requests without a valid token; wait and send a valid one."),
    "502": ("credentials_rejected", "Koji refused the key; check KOJI_API_KEY."),
    "503": ("upstream_unavailable", "Koji did not answer; send the request again later."),
}
_FIELDS = {"422": [FieldError("/wait_seconds", "must be at most 25")]}

EXAMPLES: Mapping[str, Problem] = {
    status: problem_of(int(status), code, detail, _REQUEST_ID, _FIELDS.get(status, ()))
    for status, (code, detail) in _SHOWN.items()
}
