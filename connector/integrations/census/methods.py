"""Answer the six methods of a custom destination."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connector.context import Context
from connector.errors import ConnectorError
from connector.integrations.census.objects import OBJECTS, CensusBatch, object_of, read_batch
from connector.integrations.census.rows import WAIT_SECONDS, Rows
from connector.integrations.census.rpc import LONGEST_MESSAGE, UNKNOWN_METHOD, Call, RpcError
from connector.operations.cancel_launch import CANCEL_LAUNCH
from connector.operations.check_connection import CHECK_CONNECTION, CheckOutput
from connector.operations.start_interview import START_INTERVIEW
from connector.service.execution.execute import admit, check_connection, check_scope, execute
from connector.service.execution.operation import AnyOperation, Input
from connector.service.input.validate import validate
from connector.settings.model import Connection
from connector.text.redaction import cut

_LARGEST_BATCH = 50
_NOT_WELL = ("fail", "unknown")
_CREDENTIALS = ("koji_api_key", "amplitude_api_key")
Params = Mapping[str, Any]


class Methods:
    """The methods for the context's caller.

    `connection` comes from the URL or the call. None means "default"; then a row may name another.
    """

    def __init__(self, ctx: Context, connection: str | None) -> None:
        self._ctx = ctx
        self._named = connection is not None
        self._connection = connection or "default"
        self._methods: Mapping[str, Callable[[Params], Awaitable[dict[str, Any]]]] = {
            "test_connection": self._test_connection,
            "list_objects": self._list_objects,
            "list_fields": self._list_fields,
            "supported_operations": self._supported_operations,
            "get_sync_speed": self._get_sync_speed,
            "sync_batch": self._sync_batch,
        }

    async def answer(self, call: Call) -> dict[str, Any]:
        """Return a call's result. Raises `RpcError`."""
        method = self._methods.get(call.method)
        if method is None:
            known = ", ".join(self._methods)
            raise RpcError(UNKNOWN_METHOD, f"There is no such method; there are: {known}.", call.id)
        try:
            return await method(call.params)
        except ConnectorError as error:
            raise RpcError.of(error, call.id) from error

    async def _test_connection(self, _: Params) -> dict[str, Any]:
        """Test the token and the two keys that rows need."""
        try:
            payload = self._input(CHECK_CONNECTION)
            check_scope(self._ctx.caller, START_INTERVIEW)
            done = await execute(self._ctx, CHECK_CONNECTION, payload, caller=self._ctx.caller, by_name={})
            checks = done.output.checks if isinstance(done.output, CheckOutput) else []
            wrong = [c.message for c in checks if c.name in _CREDENTIALS and c.status in _NOT_WELL]
        except ConnectorError as error:
            wrong = [error.message]
        if not wrong:
            return {"success": True}
        return {"success": False, "error_message": cut(" ".join(wrong), LONGEST_MESSAGE)}

    async def _list_objects(self, _: Params) -> dict[str, Any]:
        return {"objects": [of.described() for of in OBJECTS.values()]}

    async def _list_fields(self, params: Params) -> dict[str, Any]:
        return {"fields": object_of(params).described_fields()}

    async def _supported_operations(self, params: Params) -> dict[str, Any]:
        return {"operations": list(object_of(params).operations)}

    async def _get_sync_speed(self, _: Params) -> dict[str, Any]:
        check_connection(self._ctx, self._ctx.caller, self._connection)
        return {**sync_speed(self._ctx.connection(self._connection))}

    async def _sync_batch(self, params: Params) -> dict[str, Any]:
        batch = read_batch(params)
        await self._check(batch)
        rows = Rows(self._ctx, self._connection, self._named)
        results = await asyncio.gather(*(rows.run(batch, record) for record in batch.records))
        return {"record_results": results}

    async def _check(self, batch: CensusBatch) -> None:
        """Raise the error that every row would get, and write one entry of it to the audit log."""
        op = CANCEL_LAUNCH if batch.action == "delete" else batch.of.operation
        payload = self._input(op)
        await admit(self._ctx, op, payload.connection if self._named else None)

    def _input(self, op: AnyOperation) -> Input:
        """Return an operation's input with the connection alone. Raises `InvalidInput`."""
        checked = validate(Input, {"connection": self._connection})
        blank: Input = op.input.model_construct(connection=checked.connection)
        return blank


def sync_speed(connection: Connection) -> dict[str, int]:
    """Return the answer to `get_sync_speed`: Koji can take a batch of this size while the batch waits.

    Batches do not run in parallel: a key has one start in flight, so that they would only queue. Links need
    no call to Koji, so that its limit does not count.
    """
    a_minute = connection.koji_rate_limit_per_minute
    if connection.koji_invite_by == "link":
        a_minute = 60 * _LARGEST_BATCH
    return {
        "maximum_batch_size": min(_LARGEST_BATCH, max(1, a_minute * WAIT_SECONDS // 60)),
        "maximum_parallel_batches": 1,
        "maximum_records_per_second": min(_LARGEST_BATCH, max(1, a_minute // 60)),
    }
