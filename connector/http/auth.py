"""Identify the caller of a request by its token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from starlette.requests import Request

from connector.context import Context
from connector.errors import Unauthenticated
from connector.http.token_throttle import TRUSTED, Failures
from connector.security.caller import Caller

TOKEN_PREFIX = "kat_"  # noqa: S105 - every named token begins with it, so that scanners find leaked tokens
SURFACE = "http"


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Return the SHA-256 that stands for a token."""
    return hashlib.sha256(token.encode()).digest()


def matching(tokens: Mapping[str, bytes], presented: Iterable[bytes]) -> list[str]:
    """Return the names of the tokens that are presented; `tokens` maps a name to a `token_digest`."""
    digests = [hashlib.sha256(token).digest() for token in presented]
    # a list, not a generator: every pair is compared, so that the time taken tells nothing
    return [
        name
        for digest in digests
        for name, expected in tokens.items()
        if hmac.compare_digest(digest, expected)
    ]


class Gate:
    """Identifies callers by fixed tokens and by the named tokens in the ledger.

    `tokens` maps a name to the `token_digest` of a fixed token, which has every scope. Each request reads the
    ledger, so that a revoked token stops working at once in every process.
    """

    def __init__(self, tokens: Mapping[str, bytes], context: Callable[[], Context]) -> None:
        self._tokens = tokens
        self._context = context
        self._failures = Failures()

    async def caller(self, request: Request, *, also: Iterable[str] = ()) -> Caller:
        """Return the caller whose token a request carries.

        The token is a Bearer token, an X-API-Key, or the password of Basic authentication. `also` are tokens
        from places where only this route looks. Raises `TooManyFailures`, or `Unauthenticated`, which an
        address that keeps failing gets ever later.
        """
        presented = list(filter(None, (*_presented(request.headers), *also)))
        caller = self._fixed(presented) or await self._named(presented)
        if caller is not None:
            request.scope.setdefault("state", {})[TRUSTED] = True
            return caller
        await self._failures.add(request.client.host if request.client else "", self._context().clock)
        if presented:
            raise Unauthenticated(
                "The token is not valid. Send the value of CONNECTOR_API_TOKEN, or a token of "
                "`koji-amplitude token create` that is not revoked."
            )
        raise Unauthenticated(
            "A token is needed: send `Authorization: Bearer TOKEN`, `X-API-Key: TOKEN`, or TOKEN as the "
            "password of Basic authentication."
        )

    def _fixed(self, presented: Sequence[str]) -> Caller | None:
        names = matching(self._tokens, map(str.encode, presented))
        return Caller(names[-1], SURFACE) if names else None

    async def _named(self, presented: Sequence[str]) -> Caller | None:
        for digest in [token_digest(text).hex() for text in presented if text.startswith(TOKEN_PREFIX)]:
            token = await self._context().ledger.tokens.find(digest)
            if token is None or token.revoked_at is not None or not hmac.compare_digest(token.sha256, digest):
                continue
            connections = None if token.connections is None else frozenset(token.connections)
            return Caller(token.name, SURFACE, frozenset(token.scopes), connections)
        return None


def _presented(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts of the headers that may be a token; some may be empty."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    elif scheme.lower() == "basic":
        with suppress(ValueError):  # not base64, not ASCII, not UTF-8
            yield base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    yield headers.get("x-api-key", "").strip()
