"""OAuth's own errors, and reading what a client sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.errors import ConnectorError
from connector.http.body import parse_body
from connector.http.endpoint import NO_STORE
from connector.http.request import read_whole
from connector.text.redaction import cut

LARGEST_BODY: Final = 16_384
_LONGEST: Final = 250
Handler = Callable[[Request], Awaitable[Response]]


class OAuthError(Exception):
    """A refusal with one of OAuth's error codes (RFC 6749, 5.2; RFC 7591, 3.2.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status

    def response(self) -> Response:
        """Return it as JSON."""
        body = {"error": self.error, "error_description": cut(str(self), _LONGEST)}
        return JSONResponse(body, self.status, NO_STORE)


def answering(handler: Handler, malformed: str = "invalid_request") -> Handler:
    """Answer all errors of a handler in OAuth's form; a body that cannot be read is `malformed`."""

    async def serve(request: Request) -> Response:
        try:
            return await handler(request)
        except OAuthError as error:
            return error.response()
        except ConnectorError as error:
            code = malformed if error.http_status < 500 else "temporarily_unavailable"
            return OAuthError(
                code, error.message, 400 if error.http_status == 422 else error.http_status
            ).response()

    return serve


async def read(request: Request) -> dict[str, Any]:
    """Return the fields of a body of at most `LARGEST_BODY` bytes. Raises `InvalidInput`."""
    return parse_body(request.headers.get("content-type"), await read_whole(request, LARGEST_BODY))
