"""Identify the caller of a request by its token."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from starlette.requests import Request

from connector.context import Context
from connector.errors import LedgerUnavailable, Unauthenticated
from connector.http.token_throttle import Failures, trust
from connector.security.caller import TOKEN_PREFIX, Caller

SURFACE = "http"
_USE_STORED_EVERY = 3_600_000  # ms


def token_digest(token: str | bytes) -> bytes:
    """Return the SHA-256 that stands for a token."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()


def matching(tokens: Mapping[str, bytes], digests: Iterable[bytes]) -> list[str]:
    """Return the names of the tokens that have one of the digests; `tokens` maps a name to one."""
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
        return await self.admit(request, [*presented(request.headers), *also])

    async def admit(self, request: Request, presented: Iterable[str]) -> Caller:
        """Return the caller of the first valid text among those presented. Raises as `caller`."""
        presented = list(filter(None, presented))
        digests = [token_digest(text) for text in presented]
        caller = self._fixed(digests)
        for digest, text in zip(digests, presented, strict=True):
            if caller is None and text.startswith(TOKEN_PREFIX):
                caller = await self._named(digest.hex())
        if caller is not None:
            trust(request.scope, caller.name)
            return caller
        await self.failed(request)
        if presented:
            raise Unauthenticated(
                "The token is not valid. Send the value of CONNECTOR_API_TOKEN, or a token of "
                "`koji-amplitude token create` that is not revoked."
            )
        raise Unauthenticated(
            "A token is needed: send `Authorization: Bearer TOKEN`, `X-API-Key: TOKEN`, or TOKEN as the "
            "password of Basic authentication."
        )

    async def failed(self, request: Request) -> None:
        """Count a guess of the request's address, and delay its answer. Raises `TooManyFailures`."""
        await self._failures.add(request.client.host if request.client else "", self._context().clock)

    async def holder(self, digest: bytes) -> Caller | None:
        """Return the caller whose valid token has this `token_digest`."""
        return self._fixed([digest]) or await self._named(digest.hex())

    def _fixed(self, digests: Iterable[bytes]) -> Caller | None:
        names = matching(self._tokens, digests)
        return Caller(names[-1], SURFACE) if names else None

    async def _named(self, digest: str) -> Caller | None:
        tokens, now = self._context().ledger.tokens, self._context().clock.now()
        token = await tokens.find(digest)
        if token is None or token.revoked_at is not None or not hmac.compare_digest(token.sha256, digest):
            return None
        if token.used_at is None or not 0 <= now - token.used_at < _USE_STORED_EVERY:
            with suppress(LedgerUnavailable):  # what it opens may only read
                await tokens.used(digest, now)
        connections = None if token.connections is None else frozenset(token.connections)
        return Caller(token.name, SURFACE, frozenset(token.scopes), connections)


def presented(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts of the headers that may be a token; some may be empty."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    elif scheme.lower() == "basic":
        with suppress(ValueError):  # not base64, not ASCII, not UTF-8
            yield base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    yield headers.get("x-api-key", "").strip()
