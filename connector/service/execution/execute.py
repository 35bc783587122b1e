"""Run one operation once: every surface calls this."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import TypeAdapter

from connector.context import Context
from connector.domain.access import Claim
from connector.errors import Conflict, FieldError, Forbidden, InvalidInput, NotFound, StoreUnavailable
from connector.security.caller import Caller
from connector.service.execution import callbacks
from connector.service.execution.audit import audited
from connector.service.execution.follow_up import present
from connector.service.execution.operation import AnyOperation, Effect, Input, Output

NOT_COMPARED = frozenset({"idempotency_key", "wait_seconds", "callback_url"})
RETRY_RUNNING_SECONDS = 5

Status = Literal[200, 202]


@dataclass(frozen=True, slots=True)
class Executed:
    """What an operation answered; 202 when it goes on by itself; `replayed` when it was not run again.

    `callback_secret` signs the result that is owed to the request's `callback_url`.
    """

    output: Output
    status: Status
    replayed: bool
    callback_secret: str | None = None


async def execute(
    ctx: Context,
    op: AnyOperation,
    payload: Input,
    *,
    caller: Caller,
    by_name: Mapping[str, AnyOperation],
) -> Executed:
    """Run an operation, or repeat the stored answer of its idempotency key.

    Keys of different callers never meet. `by_name` holds all operations, to tell the present state of what
    a stored 202 began. What changes something is in the audit log before it begins, also when it is refused.
    Raises `Forbidden` for what is not the caller's, `NotFound` for an unknown connection, `Conflict` (with
    `retry_after`) while the key is at work, `InvalidInput` when the key came with another request, and
    whatever the operation raises; after an error the key is free again.
    """
    ctx = replace(ctx, caller=caller)
    if op.effect is Effect.READ:
        _check(ctx, op, payload)
        return Executed(await op.run(ctx, payload), 200, replayed=False)
    async with audited(ctx, op, payload) as entry:
        _check(ctx, op, payload)
        await callbacks.require(ctx, payload)
        done = await _execute(ctx, op, payload, by_name)
        entry.answered(payload, done.output, replayed=done.replayed)
        return replace(done, callback_secret=await callbacks.owe(ctx, op, payload, done.output))


def _check(ctx: Context, op: AnyOperation, payload: Input) -> None:
    check_scope(ctx.caller, op)
    if not op.spans_connections or "connection" in payload.model_fields_set:
        check_connection(ctx, ctx.caller, payload.connection)


async def _execute(
    ctx: Context, op: AnyOperation, payload: Input, by_name: Mapping[str, AnyOperation]
) -> Executed:
    key: str | None = getattr(payload, "idempotency_key", None)
    if key is None:
        output = await op.run(ctx, payload)
        return Executed(output, _status(output), replayed=False)
    scope = f"{ctx.caller.name}:{op.name}:{payload.connection}"
    asked = digest(payload)
    claim = await ctx.ledger.idempotency.claim(scope, key, asked, ctx.clock.now())
    ctx = replace(ctx, request=ctx.ledger.keyed_hash(f"{scope}\0{key}\0{asked}"))
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


def digest(payload: Input) -> str:
    """Return the SHA-256 of what a request asks for; a default that is spelled out changes nothing."""
    asked = payload.model_dump(mode="json", exclude=set(NOT_COMPARED), exclude_defaults=True)
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check_scope(caller: Caller, op: AnyOperation) -> None:
    """Raise `Forbidden` when an operation has an effect that the caller has no scope for."""
    needed = op.effect.value
    if needed not in caller.scopes:
        raise Forbidden(
            f"{op.name} needs the scope {needed}; this token has: {', '.join(sorted(caller.scopes))}.",
            code="missing_scope",
        )


def check_connection(ctx: Context, caller: Caller, name: str) -> None:
    """Raise `Forbidden` for a connection that is not the caller's, `NotFound` for one that is not there."""
    # the first before anything tells whether it exists
    if not caller.may_use(name):
        detail = f"this token is not for the connection {name}; list_connections tells which it is for"
        raise Forbidden(
            f"connection: {detail}", code="other_connection", errors=[FieldError("/connection", detail)]
        )
    known = caller.visible(ctx.settings.connections)
    if name in known:
        return
    detail = f"there is no connection {name}; there are: {', '.join(known)}"
    raise NotFound(
        f"connection: {detail}", code="unknown_connection", errors=[FieldError("/connection", detail)]
    )


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
        # Without a store the claim ends with its lease; the error that counts is the first.
        with suppress(StoreUnavailable):
            await ctx.ledger.idempotency.release(scope, key, claim.token)
        raise
    return Executed(output, status, replayed=False)


async def _repeat(
    ctx: Context, op: AnyOperation, payload: Input, claim: Claim, by_name: Mapping[str, AnyOperation]
) -> Executed:
    # A union's best fitting model is the one that was stored: outputs always carry every key.
    shape: TypeAdapter[Output] = TypeAdapter(op.output)
    output = shape.validate_python(json.loads(claim.body or "{}"))
    if claim.status == 202 and output.follow_up() is not None:
        output = await present(ctx, op, payload.connection, output, by_name)
        await output.raise_failure(ctx)
    status = _status(output) if claim.status == 202 else 200
    if op.recall is not None:
        output = await op.recall(ctx, payload, output)
    return Executed(output, status, replayed=True)
