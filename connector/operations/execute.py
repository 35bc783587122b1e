"""Run one operation once: what every surface calls, whoever asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from connector.errors import Conflict, FieldError, InvalidInput, NotFound, StoreUnavailable
from connector.operations.audited import audited
from connector.operations.base import AnyOperation, Effect, Input, Output
from connector.ports import Claim, Context

NOT_COMPARED = frozenset({"idempotency_key", "wait_seconds", "callback_url"})
RETRY_RUNNING_SECONDS = 5

Status = Literal[200, 202]
Surface = Literal["http", "cli"]


@dataclass(frozen=True, slots=True)
class Executed:
    """What an operation answered; 202 when it goes on by itself; `replayed` when it was not run again."""

    output: Output
    status: Status
    replayed: bool


async def execute(
    ctx: Context,
    op: AnyOperation,
    payload: Input,
    *,
    credential: str,
    surface: Surface,
    by_name: Mapping[str, AnyOperation],
) -> Executed:
    """Run an operation, or repeat the stored answer of its idempotency key.

    `credential` is the id of whoever asks: keys of different callers never meet. `by_name` holds all
    operations, to tell the present state of what a stored 202 began. What changes something is in the audit
    log before it begins. Raises `NotFound` for an unknown connection, `Conflict` (with `retry_after`) while
    the key is at work, `InvalidInput` when the key came with another request, and whatever the operation
    raises; after an error the key is free again.
    """
    _check_connection(ctx, payload.connection)
    if op.effect is Effect.READ:
        return Executed(await op.run(ctx, payload), 200, replayed=False)
    async with audited(ctx, op, payload, token=credential, surface=surface) as entry:
        done = await _execute(ctx, op, payload, credential, by_name)
        entry.answered(payload, done.output, replayed=done.replayed)
        return done


async def _execute(
    ctx: Context, op: AnyOperation, payload: Input, credential: str, by_name: Mapping[str, AnyOperation]
) -> Executed:
    key: str | None = getattr(payload, "idempotency_key", None)
    if key is None:
        output = await op.run(ctx, payload)
        return Executed(output, _status(output), replayed=False)
    scope = f"{credential}:{op.name}:{payload.connection}"
    claim = await ctx.ledger.claim_answer(scope, key, digest(payload), ctx.clock.now())
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


def _check_connection(ctx: Context, name: str) -> None:
    known = sorted(ctx.settings.connections)
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
        await ctx.ledger.store_answer(
            scope, key, claim.token, status, output.model_dump_json(), ctx.clock.now()
        )
    except BaseException:
        # Without a store the claim ends with its lease; the error that counts is the first.
        with suppress(StoreUnavailable):
            await ctx.ledger.release_answer(scope, key, claim.token)
        raise
    return Executed(output, status, replayed=False)


async def _repeat(
    ctx: Context, op: AnyOperation, payload: Input, claim: Claim, by_name: Mapping[str, AnyOperation]
) -> Executed:
    # A union's best fitting model is the one that was stored: outputs always carry every key.
    shape: TypeAdapter[Output] = TypeAdapter(op.output)
    output = shape.validate_python(json.loads(claim.body or "{}"))
    unfinished = claim.status == 202
    if (question := output.follow_up() if unfinished else output.may_still_show()) is None:
        return Executed(output, 200, replayed=True)
    name, arguments = question
    reader = by_name[name]
    asked = reader.input.model_validate({"connection": payload.connection, **arguments})
    present: Output = await reader.run(ctx, asked)
    output = shape.validate_python(output.brought_up_to_date(present))
    if not unfinished:
        return Executed(output, 200, replayed=True)
    if failure := output.failure():
        raise failure
    return Executed(output, _status(output), replayed=True)
