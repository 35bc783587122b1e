"""Create, list and revoke named tokens, for the command line and the console."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Sequence
from hashlib import sha256

from connector.context import Context
from connector.domain.access import Token
from connector.errors import Conflict, Forbidden, InvalidInput, NotFound
from connector.security.caller import RESERVED_NAMES, SCOPES, TOKEN_PREFIX, Caller
from connector.service.execution.audit import entered
from connector.service.execution.operation import Effect
from connector.settings.model import DEFAULT_CONNECTION
from connector.text.redaction import cut

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LONGEST_SHOWN = 40


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def may_manage(caller: Caller) -> bool:
    """Tell whether a caller may manage tokens: with every scope."""
    return caller.scopes >= set(SCOPES)


async def create(
    ctx: Context, name: str, scopes: Sequence[str], connections: Sequence[str] | None = None
) -> str:
    """Store a token and return it; the ledger keeps no more than its SHA-256.

    Without `connections` it is for all of the caller's. Raises `InvalidInput`, `Conflict` for a name that was
    used before, and `Forbidden` for a caller without every scope, or for another one's connection.
    """
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        rule = "take 1 to 40 letters, digits, dots, dashes and underscores, and none of "
        raise InvalidInput.of("name", rule + ", ".join(sorted(RESERVED_NAMES)))
    _require(ctx.caller, connections)
    own = ctx.caller.connections
    only = sorted(own) if connections is None and own is not None else connections
    text = new_token()
    digest = sha256(text.encode()).hexdigest()
    token = Token(
        name,
        digest,
        _chosen("scopes", scopes, SCOPES),
        None if only is None else _chosen("connections", only, ctx.settings.connections),
        ctx.clock.now(),
    )
    async with entered(ctx, DEFAULT_CONNECTION, "create_token", Effect.WRITE, {"token": name}) as entry:
        if not await ctx.ledger.tokens.create(token):
            message = f"name: {name} is or was the name of another token; take a new one."
            raise Conflict(message, code="token_exists")
        entry.outcome = "done"
    return text


async def listed(ctx: Context) -> list[Token]:
    """Return the tokens by name that the caller may know of: those for no more connections than its own."""
    own = ctx.caller.connections
    known = await ctx.ledger.tokens.listed()
    return [t for t in known if own is None or (t.connections is not None and own >= set(t.connections))]


async def revoke(ctx: Context, name: str) -> str:
    """End a token and what was made with it at once, on every server; return what to tell a person.

    Raises `NotFound`, and `Forbidden` as `create`.
    """
    _require(ctx.caller, None)
    if name not in [token.name for token in await listed(ctx)]:
        raise NotFound("name: there is no token of that name; koji-amplitude token list shows them.")
    async with entered(ctx, DEFAULT_CONNECTION, "revoke_token", Effect.WRITE, {"token": name}) as entry:
        subscriptions, callbacks = await ctx.ledger.tokens.revoke(name, ctx.clock.now())
        await ctx.ledger.grants.end(token_name=name)
        entry.outcome = "done"
    return f"The token {name} is revoked; subscriptions ended: {subscriptions}, callbacks: {callbacks}."


def _require(caller: Caller, connections: Collection[str] | None) -> None:
    if not may_manage(caller) or not all(caller.may_use(name) for name in connections or ()):
        message = "Tokens are managed with a token that has every scope, for its own connections."
        raise Forbidden(message, code="missing_scope")


def _chosen(flag: str, texts: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    words = {word.strip() for text in texts for word in text.split(",")} - {""}
    if not words <= set(known):
        unknown = cut(min(words - set(known)), _LONGEST_SHOWN)
        raise InvalidInput.of(flag, f"there is no {unknown}; take some of: {', '.join(known)}")
    if not words:
        raise InvalidInput.of(flag, f"take some of: {', '.join(known)}")
    return tuple(name for name in known if name in words)
