"""Write the audit log: an entry before a change, and its outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from connector.context import Context
from connector.domain.access import AuditEntry
from connector.errors import ConnectorError, LedgerUnavailable
from connector.service.execution.operation import AnyOperation, Effect, Input, Output

GIVEN = ("interview_id", "launch_id", "run_id", "cohort_id")
MADE = ("launch_id", "run_id")
"""Ids that an answer adds. An interview's is left out: it could join an anonymous one to its request."""

_LONGEST = 128
_OVERRIDE = "override_rest"


class Entry:
    """An open entry; `answered` records the operation's answer."""

    def __init__(self) -> None:
        self.outcome = "unknown"
        self.made: dict[str, str] = {}

    def answered(self, payload: Input, output: Output, *, replayed: bool) -> None:
        """Record the outcome and the ids in the answer."""
        dry = getattr(payload, "dry_run", False)
        self.outcome = "replayed" if replayed else "dry_run" if dry else "done"
        self.made = ids(output, MADE)


def ids(values: Input | Output, names: tuple[str, ...]) -> dict[str, str]:
    """Return the ids among the fields: texts that cannot be an address."""
    fields = {name: getattr(values, name, None) for name in names}
    texts = {name: value for name, value in fields.items() if isinstance(value, str) and value}
    return {name: text[:_LONGEST] for name, text in texts.items() if "@" not in text}


def audited(ctx: Context, op: AnyOperation, payload: Input) -> AbstractAsyncContextManager[Entry]:
    """Write an entry for an operation around its run. Raises as `entered`."""
    touched = ids(payload, GIVEN)
    if reason := getattr(payload, _OVERRIDE, None):
        touched[_OVERRIDE] = reason
    return entered(ctx, payload.connection, op.name, op.effect, touched)


@asynccontextmanager
async def entered(
    ctx: Context, connection: str, operation: str, effect: Effect, touched: dict[str, str]
) -> AsyncIterator[Entry]:
    """Write an entry of the context's caller before a change, and the outcome after it.

    Raises `LedgerUnavailable` before the change when the entry cannot be written: no change happens without
    an entry. A process that ends in the middle leaves an entry without an outcome.
    """
    number = await ctx.ledger.audit.begin(_opened(ctx, connection, operation, effect, touched))
    entry = Entry()
    try:
        yield entry
    except ConnectorError as error:
        entry.outcome = error.reason
        raise
    except BaseException as error:
        entry.outcome = "interrupted" if not isinstance(error, Exception) else "internal_error"
        raise
    finally:
        # what was done stays done: without a ledger the entry stays open
        with suppress(LedgerUnavailable):
            await ctx.ledger.audit.end(number, entry.outcome, entry.made, ctx.clock.now())


async def refused(ctx: Context, connection: str, op: AnyOperation, outcome: str) -> None:
    """Write an entry for a call that its caller may not make, at most one a minute for each caller."""
    await ctx.ledger.audit.refuse(_opened(ctx, connection, op.name, op.effect, {}), outcome)


def _opened(
    ctx: Context, connection: str, operation: str, effect: Effect, touched: dict[str, str]
) -> AuditEntry:
    return AuditEntry(
        connection=connection,
        at=ctx.clock.now(),
        token=ctx.caller.name,
        surface=ctx.caller.surface,
        operation=operation,
        effect=effect.value,
        touched=touched,
    )
