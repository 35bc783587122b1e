"""Sessions of the console: begun with a token or a link, held by a cookie, ended with the token."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connector.context import Context
from connector.domain.access import ConsoleSession
from connector.errors import Forbidden, NotConfigured, Unauthenticated
from connector.http.auth import Gate, token_digest
from connector.http.token_throttle import trust
from connector.security.caller import Caller
from connector.settings.model import Settings

SURFACE = "console"
SESSION_MS = 12 * 3_600_000
LINK_MS = 60_000
_FLASH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Session:
    """A session: its caller, and the text that its forms carry, so that no other site can send one.

    `token_sha256` is the digest of the token that began it.
    """

    caller: Caller
    form_token: str
    token_sha256: str


class Sessions:
    """Begins, finds and ends sessions. The ledger holds only digests, of cookies as of tokens."""

    def __init__(self, settings: Settings, context: Callable[[], Context], gate: Gate) -> None:
        self._is_https = settings.public_url.startswith("https://")
        self._context = context
        self._gate = gate
        self.streams: Counter[str] = Counter()
        """The streams of this process that are open."""

    @property
    def cookie(self) -> str:
        """Return the name of the cookie, the same at every process of one ledger.

        Browsers keep the cookies of all ports of a host together: two ledgers on one machine are two names.
        """
        own = self._context().ledger.keyed_hash("console cookie")[:8]
        return "__Host-koji-amplitude" if self._is_https else f"koji-amplitude-{own}"

    async def of(self, request: Request) -> Session | None:
        """Return the session of a request's cookie, or None once it or its token has ended."""
        cookie, ctx = request.cookies.get(self.cookie, ""), self._context()
        if not cookie:
            return None
        digest = await ctx.ledger.console_sessions.token_of(token_digest(cookie).hex(), ctx.clock.now())
        caller = None if digest is None else await self._gate.holder(bytes.fromhex(digest))
        if digest is None or caller is None:
            return None
        trust(request.scope, caller.name)
        form_token = hashlib.sha256(f"form {cookie}".encode()).hexdigest()
        return Session(replace(caller, surface=SURFACE), form_token, digest)

    async def sign_in(self, request: Request, token: str, answer: Response) -> None:
        """Begin a session with a token. Raises `Unauthenticated` and `TooManyFailures`."""
        await self._gate.admit(request, [token.strip()])
        await self._begin(token_digest(token.strip()).hex(), answer)

    async def open_link(self, request: Request, code: str, answer: Response) -> None:
        """Begin a session with a link, which then is of no more use. Raises as `sign_in`."""
        ctx = self._context()
        digest = await ctx.ledger.console_sessions.use_link(token_digest(code).hex(), ctx.clock.now())
        if digest is None:
            await self._gate.failed(request)
            raise Unauthenticated("This link was used, or is older than 60 seconds. Make another one.")
        await self._begin(digest, answer)

    async def sign_out(self, request: Request, answer: Response) -> None:
        """End the session of a request."""
        cookie = request.cookies.get(self.cookie, "")
        await self._context().ledger.console_sessions.end(token_digest(cookie).hex())
        self._set(answer, self.cookie, "", 0)

    async def _begin(self, token_sha256: str, answer: Response) -> None:
        ctx, cookie = self._context(), secrets.token_urlsafe(32)
        session = ConsoleSession(token_digest(cookie).hex(), token_sha256, ctx.clock.now() + SESSION_MS)
        await ctx.ledger.console_sessions.begin(session, ctx.clock.now())
        self._set(answer, self.cookie, cookie, SESSION_MS // 1_000)

    def keep(self, answer: Response, said: Mapping[str, Any]) -> None:
        """Hand what was done to the next page, sealed; that page shows it once."""
        sealed = self._context().ledger.seal(json.dumps(said))
        self._set(answer, f"{self.cookie}-said", sealed, _FLASH_SECONDS)

    def kept(self, request: Request) -> Mapping[str, Any] | None:
        """Return what the page before handed over."""
        sealed = request.cookies.get(f"{self.cookie}-said")
        if not sealed:
            return None
        with suppress(NotConfigured, ValueError):  # not sealed by us
            said: Mapping[str, Any] = json.loads(self._context().ledger.unseal(sealed))
            return said
        return None

    def forget(self, answer: Response) -> None:
        """Remove what the page before handed over."""
        self._set(answer, f"{self.cookie}-said", "", 0)

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._is_https, httponly=True, samesite="strict"
        )


def require_own_page(request: Request) -> None:
    """Raise `Forbidden` for a form that a page of another origin sends."""
    site = request.headers.get("sec-fetch-site", "").lower()
    origin = request.headers.get("origin", "")
    if site:
        is_own = site == "same-origin"
    else:  # an older browser
        is_own = not origin or origin.partition("://")[2] == request.headers.get("host")
    if not is_own:
        raise Forbidden("This form came from a page of another site; nothing was done.", code="cross_site")


def require_form_token(session: Session, sent: str) -> None:
    """Raise `Forbidden` for a form that was not made for the session."""
    if not hmac.compare_digest(sent.encode(), session.form_token.encode()):
        message = "This form was made for another session; nothing was done. Load the page again."
        raise Forbidden(message, code="wrong_form")
