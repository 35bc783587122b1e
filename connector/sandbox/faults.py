"""Script trouble: a queue of faults that one stand-in works through, and what each looks like on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from connector.sandbox.bodies import Strict

FaultKind = Literal[
    "status",
    "status_after_accept",
    "waf",
    "slow",
    "redirect",
    "not_json",
    "cut",
    "cut_after_accept",
    "throttle_unnamed",
]
CONTINUES: Final = frozenset({"slow", "status_after_accept", "cut_after_accept"})
_USUAL_STATUS: Final = {"status": 503, "waf": 403, "throttle_unnamed": 429}

ErrorBody = Callable[[int], dict[str, Any]]


class Fault(Strict):
    """One scripted fault.

    - `status`: answer `status` (503 by default; 500, 502, 504, 408, 403, ...) and do nothing; `body` replaces
      the usual error body.
    - `status_after_accept`: do the work, then answer `status` (500 by default).
    - `waf`: 403 for a request whose raw body contains `text`.
    - `slow`: wait `seconds`, or until the faults are cleared, then answer as usual.
    - `redirect`: `status` (307 by default) to `location`.
    - `not_json`: 200 with an HTML page, nothing done.
    - `cut`, `cut_after_accept`: close the connection in the middle of the answer.
    - `throttle_unnamed`: 429 that names no user and no device.

    `times` is how often the fault strikes (None: until cleared). `route` limits it to one route: "httpapi",
    "usersearch", "cohorts", "start", "complete" or "read".
    """

    kind: FaultKind
    status: int | None = None
    body: dict[str, Any] | None = None
    text: str = ""
    seconds: float = 0.0
    location: str = ""
    route: str | None = None
    times: int | None = 1

    def matches(self, route: str, body: bytes) -> bool:
        """Tell whether this fault strikes a request."""
        return self.route in {None, route} and (self.kind != "waf" or self.text.encode() in body)


class FaultQueue:
    """Faults in the order they were set; the first that matches a request strikes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._cleared = asyncio.Event()
        self.held = 0  # requests that a slow fault keeps waiting

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults at the end."""
        self._faults.extend(faults)

    def clear(self) -> None:
        """Forget all faults, and let go of what they keep waiting."""
        self._faults.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def hold(self, seconds: float) -> None:
        """Wait, at most until the faults are cleared."""
        self.held += 1
        try:
            async with asyncio.timeout(seconds):
                await self._cleared.wait()
        except TimeoutError:
            pass
        finally:
            self.held -= 1

    def next(self, route: str, body: bytes) -> Fault | None:
        """Return the fault that strikes this request, and count it down."""
        for fault in self._faults:
            if fault.matches(route, body):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None

    def as_json(self) -> dict[str, Any]:
        """List what is still to come, and count the requests that wait."""
        return {"faults": [fault.model_dump() for fault in self._faults], "held": self.held}


class CutResponse(Response):
    """An answer that is longer by its headers than what is sent; the connection then closes."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send fewer bytes than announced; the server then has to drop the connection."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"4096"),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"code":', "more_body": True})
        raise ConnectionAbortedError("scripted: the answer is cut")


async def answer_with(
    queue: FaultQueue, fault: Fault | None, error_body: ErrorBody, go_on: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a request that `fault` strikes; `go_on` does the work unless the fault prevents it."""
    if fault is None:
        return await go_on()
    if fault.kind == "slow":
        await queue.hold(fault.seconds)
    if fault.kind in CONTINUES:
        answer = await go_on()
        if fault.kind == "slow" or answer.status_code >= 300:
            return answer
    return _instead(fault, error_body)


def _instead(fault: Fault, error_body: ErrorBody) -> Response:
    if fault.kind in {"cut", "cut_after_accept"}:
        return CutResponse()
    if fault.kind == "redirect":
        return RedirectResponse(fault.location, status_code=fault.status or 307)
    if fault.kind == "not_json":
        return HTMLResponse("<!doctype html><title>Hello</title><p>This is a proxy, not the service.")
    status = fault.status or _USUAL_STATUS.get(fault.kind, 500)
    body = error_body(status)
    if fault.kind == "throttle_unnamed":
        body |= {"throttled_devices": {}, "throttled_users": {}, "throttled_events": []}
    return JSONResponse(body if fault.body is None else fault.body, status_code=status)
