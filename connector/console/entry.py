"""The way into the console and out of it: the page that asks for a token, the link, and signing out."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from connector import __version__
from connector.console.live import CHANGED, ENDED, EVENT_STREAM
from connector.console.page import HEADERS, page
from connector.console.sessions import Sessions, require_form_token, require_own_page
from connector.context import Context
from connector.errors import ConnectorError, LedgerUnavailable
from connector.http.body import parse_body
from connector.http.health import readiness
from connector.http.request import read_whole

HOME = "/console"
ENTRY = "/console/session"
CONSENT = "/oauth/authorize"
AGAIN = "again"
"""Marks a page that was loaded once more from our own origin."""
_LARGEST_FORM = 65_536


class Entry:
    """Answers who is not signed in, or no longer wants to be."""

    def __init__(self, sessions: Sessions, context: Callable[[], Context]) -> None:
        self._sessions = sessions
        self._context = context

    async def sign_in(self, request: Request) -> Response:
        """Ask for a token; begin a session with the token of the form, or with the link in the URL."""
        to = request.query_params.get("next", "")
        target = to if to == HOME or to.startswith((f"{HOME}/", f"{HOME}?", f"{CONSENT}?")) else HOME
        answer = RedirectResponse(target, 303, HEADERS)
        code = request.query_params.get("link")
        try:
            if request.method == "POST":
                require_own_page(request)
                await self._sessions.sign_in(request, (await read_form(request)).get("token", ""), answer)
                return answer
            if not code and await self._sessions.of(request) is not None:
                return answer  # signed in meanwhile, in another tab
            if code and request.method == "GET":  # a HEAD leaves the link as it is
                await self._sessions.open_link(request, code, answer)
                return answer
        except ConnectorError as error:
            is_guess = error.http_status == 401 and not code
            refused = "This token is not valid, or it was revoked." if is_guess else error.message
            return await self._asked(target, refused, error.http_status)
        return await self._asked(target)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        require_own_page(request)
        session, answer = await self._sessions.of(request), RedirectResponse(ENTRY, 303, HEADERS)
        if session is not None:
            require_form_token(session, (await read_form(request)).get("form_token", ""))
            await self._sessions.sign_out(request, answer)
        return answer

    async def _asked(self, target: str, refused: str = "", status: int = 200) -> Response:
        """Return the page that asks for a token, and tells without one whether the server works.

        When it leads to a client's question, the page names the client: by its own word, or by its document.
        """
        client_id = parse_qs(target.removeprefix(f"{CONSENT}?")).get("client_id", [""])[0]
        asks = client_id
        try:
            state = "Up, with pauses" if await readiness(self._context()) else "Up"
            if client := await self._context().ledger.grants.client(client_id):
                asks = client.name
        except LedgerUnavailable as error:
            state = f"Down: {error.message.rstrip('.')}"
        to = f"{ENTRY}?{urlencode({'next': target})}"
        shown = {"to": to, "state": state, "version": __version__, "refused": refused, "asks": asks}
        return page("sign_in.html", status, title="Sign in", **shown)


def to_entry(request: Request) -> Response:
    """Ask to sign in, after one more try: a browser sends no cookie when another site's link leads here.

    An open page is told to load itself anew.
    """
    if "text/event-stream" in request.headers.get("accept", ""):
        return Response(CHANGED + ENDED, headers=HEADERS, media_type=EVENT_STREAM)
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={**HEADERS, "HX-Refresh": "true"})
    site = request.headers.get("sec-fetch-site", "cross-site")
    if request.method == "GET" and site == "cross-site" and AGAIN not in request.query_params:
        return page("again.html", title="One moment", to=here(request, **{AGAIN: "1"}))
    to = HOME if request.method == "POST" else here(request)
    return RedirectResponse(f"{ENTRY}?{urlencode({'next': to})}", 303, HEADERS)


def here(request: Request, **more: str) -> str:
    """Return the path and query of a request, with `more` in its query."""
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] != AGAIN]
    query = urlencode([*pairs, *more.items()])
    path = request.scope["raw_path"].decode("ascii", "replace")
    return f"{path}?{query}" if query else path


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises `InvalidInput`."""
    body = await read_whole(request, _LARGEST_FORM)
    fields = parse_body(request.headers.get("content-type"), body)
    return {name: value for name, value in fields.items() if isinstance(value, str)}
