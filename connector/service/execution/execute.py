"""Run one operation, for every surface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from connector.context import Context
from connector.domain.access import Claim
from connector.errors import (
    Conflict,
    ConnectorError,
    FieldError,
    Forbidden,
    InvalidInput,
    LedgerUnavailable,
    NotFound,
)
from connector.security.caller import Caller
from connector.service.execution import callbacks
from connector.service.execution.audit import audited, refused
from connector.service.execution.follow_up import present
from connector.service.execution.operation import AnyOperation, Effect, EffectInput, Input, Output
from connector.settings.model import DEFAULT_CONNECTION

RETRY_RUNNING_SECONDS = 5

Status = Literal[200, 202]


@dataclass(frozen=True, slots=True)
class Executed:
    """What an operation answered. `replayed` means that the answer was stored before.

    `status` is 202 when the operation continues in the background. `callback_secret` signs the result that is
    owed to the request's `callback_url`.
    """

    output: Output
    status: Status
    replayed: bool
    callback_secret: str | None = None


async def execute(
    ctx: Context, op: AnyOperation, payload: Input, *, caller: Caller, by_name: Mapping[str, AnyOperation]
) -> Executed:
    """Run an operation, or repeat the stored answer of its idempotency key.

    Each caller has keys of its own. `by_name` holds all operations, to read the present state of what a
    stored 202 began. An operation that changes something is in the audit log before it begins. Raises
    `Forbidden` for a missing scope or another caller's connection, `NotFound` for an unknown connection,
    `Conflict` (with `retry_after`) while the key is at work, `InvalidInput` when the key came with another
    request, and the operation's own errors; after an error the key is free again.
    """
    ctx = replace(ctx, caller=caller)
    is_named = not op.spans_connections or "connection" in payload.model_fields_set
    await admit(ctx, op, payload.connection if is_named else None)
    if op.effect is Effect.READ:
        return Executed(await op.run(ctx, payload), 200, replayed=False)
    async with audited(ctx, op, payload) as entry:
        await callbacks.require(ctx, payload)
        done = await _execute(ctx, op, payload, by_name)
        entry.answered(payload, done.output, replayed=done.replayed)
        return replace(done, callback_secret=await callbacks.owe(ctx, op, payload, done.output))


async def admit(ctx: Context, op: AnyOperation, connection: str | None = None) -> None:
    """Check that the context's caller may run an operation, on a connection if one is named.

    A refused change is in the audit log. Raises `Forbidden` and `NotFound`.
    """
    try:
        check_scope(ctx.caller, op)
        if connection is not None:
            check_connection(ctx, ctx.caller, connection)
    except (Forbidden, NotFound) as error:
        if op.effect is not Effect.READ:
            await refused(ctx, connection or DEFAULT_CONNECTION, op, error.reason)
        raise


async def _execute(
    ctx: Context, op: AnyOperation, payload: Input, by_name: Mapping[str, AnyOperation]
) -> Executed:
    key = payload.idempotency_key if isinstance(payload, EffectInput) else None
    if not isinstance(payload, EffectInput) or key is None:
        output = await op.run(ctx, payload)
        return Executed(output, _status(output), replayed=False)
    scope = f"{ctx.caller.name}:{op.name}:{payload.connection}"
    sha256 = await asyncio.to_thread(payload.digest)  # of up to 20 MB
    claim = await ctx.ledger.idempotency.claim(scope, key, sha256, ctx.clock.now())
    ctx = replace(ctx, request=ctx.ledger.keyed_hash(f"{scope}\0{key}\0{sha256}"))
    match claim.state:
        case "running":
            raise Conflict(
                "idempotency_key: a request with this key is still at work; repeat it later.",
                code="idempotency_running",
                retry_after=RETRY_RUNNING_SECONDS,
            )
        case "mismatch":
            raise InvalidInput.of(
                "idempotency_key",
                "was used with another request; take a new key, or repeat the first request unchanged",
                code="idempotency_mismatch",
            )
        case "stored":
            return await _repeat(ctx, op, payload, claim, by_name)
        case _:
            return await _first(ctx, op, payload, scope=scope, key=key, claim=claim)


def check_scope(caller: Caller, op: AnyOperation) -> None:
    """Raise `Forbidden` for an operation that the caller has no scope for, or whose address leaves it out."""
    needed = op.effect.value
    if needed not in caller.scopes:
        there = ", ".join(sorted(caller.scopes))
        raise Forbidden(
            f"{op.name} needs the scope {needed}; there is: {there}. {caller.more}", code="missing_scope"
        )
    if not caller.may_call(op.name):
        message = f"{op.name} is not among the tools that this address offers (?tools=)."
        raise Forbidden(message, code="other_tools")


def check_connection(ctx: Context, caller: Caller, name: str) -> None:
    """Raise `Forbidden` for a connection that the caller may not use, `NotFound` for an unknown one."""
    error: type[ConnectorError]
    known = caller.visible(ctx.settings.connections)
    if not caller.may_use(name):  # first, so that it does not tell whether the connection exists
        error, code = Forbidden, "other_connection"
        detail = f"this token is not for the connection {name}; list_connections tells which it is for"
    elif name not in known:
        error, code = NotFound, "unknown_connection"
        detail = f"there is no connection {name}; there are: {', '.join(known)}"
    else:
        return
    raise error(f"connection: {detail}", code=code, errors=[FieldError("/connection", detail)])


def _status(output: Output) -> Status:
    return 202 if output.follow_up() is not None else 200


async def _first(
    ctx: Context, op: AnyOperation, payload: Input, *, scope: str, key: str, claim: Claim
) -> Executed:
    try:
        output = await op.run(ctx, payload)
        status = _status(output)
        await ctx.ledger.idempotency.store(
            scope, key, claim.token, status, output.kept().model_dump_json(), ctx.clock.now()
        )
    except BaseException:
        # without a ledger the claim ends with its lease; the first error is the one that counts
        with suppress(LedgerUnavailable):
            await ctx.ledger.idempotency.release(scope, key, claim.token)
        raise
    return Executed(output, status, replayed=False)


async def _repeat(
    ctx: Context, op: AnyOperation, payload: Input, claim: Claim, by_name: Mapping[str, AnyOperation]
) -> Executed:
    output: Output = op.answer(json.loads(claim.body or "{}"))
    if claim.status == 202 and output.follow_up() is not None:
        output = await present(ctx, op, payload.connection, output, by_name)
        await output.raise_failure(ctx)
    status = _status(output) if claim.status == 202 else 200
    if op.recall is not None:
        output = await op.recall(ctx, payload, output)
    return Executed(output, status, replayed=True)
