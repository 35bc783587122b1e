"""Store and render the results that are owed to the `callback_url` of unfinished answers."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace

from connector.context import Context
from connector.domain.events.callback import Callback, Result, secret_of
from connector.errors import NotFound
from connector.service.execution.follow_up import present
from connector.service.execution.operation import AnyOperation, Input, Output, WaitInput

FIRST_LOOK = 1_000
"""The time from the answer to the first look for its end, in ms."""


async def require(ctx: Context, payload: Input) -> None:
    """Check the address before the operation runs. Raises `InvalidInput` on `callback_url`."""
    if isinstance(payload, WaitInput) and payload.callback_url is not None:
        await ctx.targets.require("callback_url", payload.callback_url, ctx.caller.name)


async def owe(ctx: Context, op: AnyOperation, payload: Input, output: Output) -> str | None:
    """Store that the result is owed; return the secret that will sign it, or None if nothing is owed.

    A finished answer is the result itself. A repeat under the same idempotency key owes no second result.
    """
    if not isinstance(payload, WaitInput) or payload.callback_url is None or output.follow_up() is None:
        return None
    now = ctx.clock.now()
    callback = Callback(
        id=_id(ctx, op, payload),
        connection=payload.connection,
        operation=op.name,
        answer=output.kept().model_dump_json(),
        target_url=payload.callback_url,
        scopes=" ".join(sorted(ctx.caller.scopes)),
        created_at=now,
        due=now + FIRST_LOOK,
        token=ctx.caller.name,
    )
    await ctx.ledger.callbacks.add(callback)
    ctx.wake("callbacks")
    return secret_of(ctx.ledger.plan_key, callback.id)


async def result(ctx: Context, callback: Callback, *, by_name: Mapping[str, AnyOperation]) -> Result | None:
    """Return the present state of an owed answer, or None if its subject no longer exists.

    It shows what the scopes of the request's caller show. Raises `KeyError` while its connection is not in
    the settings: it may return.
    """
    ctx.connection(callback.connection)
    ctx = replace(ctx, caller=replace(ctx.caller, scopes=frozenset((callback.scopes or "").split())))
    op = by_name[callback.operation]
    output: Output = op.answer(json.loads(callback.answer))
    try:
        output = await present(ctx, op, callback.connection, output, by_name)
    except NotFound:
        return None
    return Result(output.model_dump_json(), ended=output.follow_up() is None)


def _id(ctx: Context, op: AnyOperation, payload: WaitInput) -> str:
    if payload.idempotency_key is None:
        return f"cb_{secrets.token_hex(16)}"
    request = (ctx.caller.name, op.name, payload.connection, payload.idempotency_key, payload.callback_url)
    return f"cb_{hashlib.sha256(ctx.ledger.plan_key + repr(request).encode()).hexdigest()[:32]}"
