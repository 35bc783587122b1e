"""How a fault looks on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from connector.sandbox.faults import CONTINUES, Fault

ErrorBody = Callable[[int], dict[str, Any]]


class CutResponse(Response):
    """Announce a long answer, send a part, and close the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send fewer bytes than announced; the server then has to drop the connection."""
        del scope, receive
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"4096"),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"code":', "more_body": True})
        raise ConnectionAbortedError("scripted: the answer is cut")


async def answer_with(
    fault: Fault | None, error_body: ErrorBody, go_on: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a request that `fault` strikes; `go_on` does the work where the fault lets it be done."""
    if fault is None:
        return await go_on()
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    if fault.kind in CONTINUES:
        done = await go_on()
        if fault.kind == "slow" or done.status_code >= 300:
            return done
    return _instead(fault, error_body)


def _instead(fault: Fault, error_body: ErrorBody) -> Response:
    if fault.kind in {"cut", "cut_after_accept"}:
        return CutResponse()
    if fault.kind == "redirect":
        return RedirectResponse(fault.location, status_code=fault.status or 307)
    if fault.kind == "not_json":
        return HTMLResponse("<!doctype html><title>Hello</title><p>This is a proxy, not the service.")
    status = fault.status or _USUAL_STATUS.get(fault.kind, 500)
    body = fault.body if fault.body is not None else _body(fault, status, error_body)
    return JSONResponse(body, status_code=status)


_USUAL_STATUS = {"status": 503, "waf": 403, "throttle_unnamed": 429}


def _body(fault: Fault, status: int, error_body: ErrorBody) -> dict[str, Any]:
    if fault.kind == "throttle_unnamed":
        return {**error_body(status), "throttled_devices": {}, "throttled_users": {}, "throttled_events": []}
    return error_body(status)
