"""OAuth's own errors, and reading what a client sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.context import Context
from connector.errors import ConnectorError, InvalidInput
from connector.http.body import parse_body
from connector.http.endpoint import NO_STORE
from connector.http.request import read_whole
from connector.text.redaction import cut

LARGEST_BODY: Final = 16_384
_LONGEST: Final = 250
Answer = Callable[[Context, Mapping[str, Any]], Awaitable[Response]]


class OAuthError(InvalidInput, http_status=400):
    """A refusal whose code is OAuth's (RFC 6749, 5.2; RFC 7591, 3.2.2; RFC 8707, 2)."""


def refusal(error: str, description: str, status: int = 400) -> Response:
    """Return an error in OAuth's form."""
    body = {"error": error, "error_description": cut(description, _LONGEST)}
    return JSONResponse(body, status, NO_STORE)


def answering(
    context: Callable[[], Context], answer: Answer, malformed: str = "invalid_request"
) -> Callable[[Request], Awaitable[Response]]:
    """Read a body, and answer all errors in OAuth's form; a body that cannot be read is `malformed`."""

    async def serve(request: Request) -> Response:
        try:
            body = await read_whole(request, LARGEST_BODY)
            return await answer(context(), parse_body(request.headers.get("content-type"), body))
        except OAuthError as error:
            return refusal(error.reason, error.message)
        except ConnectorError as error:
            code = malformed if error.http_status < 500 else "temporarily_unavailable"
            return refusal(code, error.message, 400 if error.http_status == 422 else error.http_status)

    return serve
