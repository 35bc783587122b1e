"""Identify the caller of a request by its token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from starlette.requests import Request

from connector.context import Context
from connector.errors import Unauthenticated
from connector.http.token_throttle import Failures
from connector.security.caller import Caller

TOKEN_PREFIX = "kat_"  # noqa: S105 - what every named token begins with, so that scanners find leaked ones
SURFACE = "http"


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Return the SHA-256 that stands for a token."""
    return hashlib.sha256(token.encode()).digest()


class Gate:
    """Tells who is calling: tokens that are always there, and named ones in the ledger.

    `tokens` maps names to `token_digest` of tokens with every scope. The ledger is asked at each request, so
    that revoking holds at once in every process.
    """

    def __init__(self, tokens: Mapping[str, bytes], context: Callable[[], Context]) -> None:
        self._tokens = tokens
        self._context = context
        self._failures = Failures()

    async def caller(self, request: Request, *, also: Iterable[str] = ()) -> Caller:
        """Return the caller whose token a request carries.

        The token is a Bearer token, an X-API-Key, or the password of Basic authentication; `also` are
        tokens that stand where only this route looks for them. Raises
        `Unauthenticated`, later and later to an address that goes on failing, or `TooManyFailures`.
        """
        presented = [*_presented(request.headers), *filter(None, also)]
        caller = self._fixed(presented) or await self._named(presented)
        if caller is not None:
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
        found: str | None = None
        # all of them, in constant time, so that the time taken tells nothing
        for candidate in [token_digest(token) for token in presented]:
            for name, expected in self._tokens.items():
                if hmac.compare_digest(candidate, expected):
                    found = name
        return None if found is None else Caller(found, SURFACE)

    async def _named(self, presented: Sequence[str]) -> Caller | None:
        for one in presented:
            if not one.startswith(TOKEN_PREFIX):
                continue  # none of ours: the ledger need not be asked
            digest = token_digest(one).hex()
            token = await self._context().ledger.tokens.find(digest)
            if token is None or not hmac.compare_digest(token.sha256, digest):
                continue
            if token.revoked_at is None:
                connections = None if token.connections is None else frozenset(token.connections)
                return Caller(token.name, SURFACE, frozenset(token.scopes), connections)
        return None


def _presented(headers: Mapping[str, str]) -> Iterator[str]:
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    value = value.strip()
    if value and scheme.lower() == "bearer":
        yield value
    elif value and scheme.lower() == "basic":
        yield from _basic_password(value)
    if api_key := headers.get("x-api-key", "").strip():
        yield api_key


def _basic_password(value: str) -> Iterator[str]:
    try:
        _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # no base64, no ASCII, no UTF-8
        return
    if password:
        yield password
