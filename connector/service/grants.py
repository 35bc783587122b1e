"""Begin, list and end what people let OAuth clients do at `/mcp`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from hashlib import sha256

from connector.context import Context
from connector.domain.access import Grant, GrantSecret, OAuthClient
from connector.errors import InvalidInput, NotFound
from connector.service.execution.audit import entered
from connector.service.execution.operation import Effect
from connector.service.tokens import may_manage
from connector.settings.model import DEFAULT_CONNECTION

LIVES = {"code": 60_000, "access": 3_600_000, "refresh": 30 * 86_400_000}  # ms
PREFIXES = {"code": "kac_", "access": "kaa_", "refresh": "kar_"}  # so that scanners find leaked ones


def new_secret(kind: str, now: int) -> tuple[str, GrantSecret]:
    """Return a code, an access token or a refresh token that cannot be guessed, and what is stored of it."""
    text = PREFIXES[kind] + secrets.token_urlsafe(32)
    return text, GrantSecret(sha256(text.encode()).hexdigest(), kind, now + LIVES[kind])


async def begin(
    ctx: Context,
    client: OAuthClient,
    *,
    token_sha256: str,
    scopes: Collection[str],
    connections: Collection[str],
    challenge: str,
    redirect_uri: str,
) -> str:
    """Store what the context's caller lets a client do, and return the code for it.

    Raises `InvalidInput` unless there are scopes and connections, all of them the caller's.
    """
    for field, chosen, own in (
        ("scopes", scopes, ctx.caller.scopes),
        ("connections", connections, ctx.caller.visible(ctx.settings.connections)),
    ):
        if not chosen or not set(chosen) <= set(own):
            raise InvalidInput.of(field, "choose at least one of yours")
    now = ctx.clock.now()
    code, stored = new_secret("code", now)
    slug = re.sub("[^a-z0-9]+", "-", client.name.lower())[:24].strip("-") or "client"
    grant = Grant(
        f"{slug}-{secrets.token_hex(4)}",
        client.client_id,
        client.name,
        ctx.caller.name,
        token_sha256,
        tuple(scopes),
        tuple(connections),
        challenge,
        redirect_uri,
        now,
        stored.expires_at,
    )
    async with entered(ctx, DEFAULT_CONNECTION, "grant_access", Effect.WRITE, {"grant": grant.name}) as entry:
        await ctx.ledger.grants.begin(grant, stored, now)
        entry.outcome = "done"
    return code


async def exchange(ctx: Context, grant: Grant, sha256: str) -> tuple[str, str] | None:
    """Return an access and a refresh token for a code or refresh token; the context's caller is the grant.

    None when that was spent before; then the grant has ended.
    """
    now = ctx.clock.now()
    (access, stored), (refresh, kept) = new_secret("access", now), new_secret("refresh", now)
    if await ctx.ledger.grants.exchange(sha256, (stored, kept), now):
        return access, refresh
    async with entered(ctx, DEFAULT_CONNECTION, "end_grant", Effect.WRITE, {"grant": grant.name}) as entry:
        entry.outcome = "used_twice"
    return None


async def replace_older(ctx: Context, grant: Grant) -> None:
    """End the grants that a client got before by the same token; the context's caller is the grant."""
    for one in await ctx.ledger.grants.listed(ctx.clock.now()):
        is_same = (one.client_id, one.token_sha256) == (grant.client_id, grant.token_sha256)
        if is_same and one.id != grant.id and one.created_at <= grant.created_at:
            await _end(ctx, one, "replaced")


async def listed(ctx: Context) -> list[Grant]:
    """Return the grants of the caller's token; with every scope all that reach no further than that."""
    caller = ctx.caller
    known = await ctx.ledger.grants.listed(ctx.clock.now())
    return [
        grant
        for grant in known
        if grant.token_name == caller.name
        or (may_manage(caller) and all(caller.may_use(name) for name in grant.connections))
    ]


async def end(ctx: Context, name: str) -> None:
    """End a grant at once, on every server. Raises `NotFound` for one that the caller does not see."""
    found = [grant for grant in await listed(ctx) if grant.name == name]
    if not found:
        raise NotFound("name: there is no grant of that name; koji-amplitude token list shows them.")
    await _end(ctx, found[0], "done")


async def _end(ctx: Context, grant: Grant, outcome: str) -> None:
    async with entered(ctx, DEFAULT_CONNECTION, "end_grant", Effect.WRITE, {"grant": grant.name}) as entry:
        await ctx.ledger.grants.end(id=grant.id)
        entry.outcome = outcome
