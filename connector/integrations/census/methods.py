"""The six methods of a custom destination."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from connector.context import Context
from connector.errors import ConnectorError, Forbidden, NotFound
from connector.integrations.census.batch import CensusBatch, object_of, read_batch
from connector.integrations.census.objects import OBJECTS
from connector.integrations.census.rows import WAIT_SECONDS, Rows
from connector.integrations.census.rpc import LONGEST_MESSAGE, UNKNOWN_METHOD, Call, RpcError, from_ours
from connector.operations.cancel_launch import CANCEL_LAUNCH
from connector.operations.check_connection import CHECK_CONNECTION, CheckOutput
from connector.operations.start_interview import START_INTERVIEW
from connector.security.caller import Caller
from connector.service.execution.audit import audited
from connector.service.execution.execute import check_connection, check_scope, execute
from connector.service.execution.operation import AnyOperation, Input
from connector.service.input.validate import validate
from connector.settings.model import Connection
from connector.text.redaction import cut

_LARGEST_BATCH = 50
_NOT_WELL = ("fail", "unknown")
_CREDENTIALS = ("koji_api_key", "amplitude_api_key")
Params = Mapping[str, Any]


class Methods:
    """The methods for one caller and connection; `connection` None: the default, which rows may change."""

    def __init__(self, ctx: Context, caller: Caller, connection: str | None) -> None:
        self._ctx = ctx
        self._caller = caller
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
            raise from_ours(error, call.id) from error

    async def _test_connection(self, _: Params) -> dict[str, Any]:
        """Test the token and the two keys that rows need."""
        try:
            payload = self._input(CHECK_CONNECTION)
            check_scope(self._caller, START_INTERVIEW)
            done = await execute(self._ctx, CHECK_CONNECTION, payload, caller=self._caller, by_name={})
        except ConnectorError as error:
            return _failed(error.message)
        checks = done.output.checks if isinstance(done.output, CheckOutput) else []
        wrong = [one.message for one in checks if one.name in _CREDENTIALS and one.status in _NOT_WELL]
        return _failed(" ".join(wrong)) if wrong else {"success": True}

    async def _list_objects(self, _: Params) -> dict[str, Any]:
        return {"objects": [one.described() for one in OBJECTS.values()]}

    async def _list_fields(self, params: Params) -> dict[str, Any]:
        return {"fields": object_of(params).described_fields()}

    async def _supported_operations(self, params: Params) -> dict[str, Any]:
        return {"operations": list(object_of(params).operations)}

    async def _get_sync_speed(self, _: Params) -> dict[str, Any]:
        self._check_connection()
        return {**sync_speed(self._ctx.connection(self._connection))}

    async def _sync_batch(self, params: Params) -> dict[str, Any]:
        batch = read_batch(params)
        await self._check(batch)
        rows = Rows(self._ctx, self._caller, self._connection, self._named)
        results = await asyncio.gather(*(rows.run(batch, record) for record in batch.records))
        return {"record_results": results}

    async def _check(self, batch: CensusBatch) -> None:
        """Raise what refuses every row, and leave one entry of it in the audit log."""
        op = CANCEL_LAUNCH if batch.action == "delete" else batch.of.operation
        payload = self._input(op)
        try:
            check_scope(self._caller, op)
            if self._named:
                self._check_connection()
        except (Forbidden, NotFound):
            async with audited(self._ctx_of_caller(), op, payload):
                raise

    def _ctx_of_caller(self) -> Context:
        return replace(self._ctx, caller=self._caller)

    def _check_connection(self) -> None:
        check_connection(self._ctx, self._caller, self._connection)

    def _input(self, op: AnyOperation) -> Input:
        """Return the connection as an operation's input that names nothing else. Raises `InvalidInput`."""
        checked = validate(Input, {"connection": self._connection})
        blank: Input = op.input.model_construct(connection=checked.connection)
        return blank


def _failed(message: str) -> dict[str, Any]:
    return {"success": False, "error_message": cut(message, LONGEST_MESSAGE)}


def sync_speed(connection: Connection) -> dict[str, int]:
    """Return the answer to `get_sync_speed`: a batch is what Koji takes while it waits, one at a time.

    One start is in flight per key, so that parallel batches would only queue. Links cost no call.
    """
    a_minute = connection.koji_rate_limit_per_minute
    if connection.koji_invite_by == "link":
        a_minute = 60 * _LARGEST_BATCH
    return {
        "maximum_batch_size": min(_LARGEST_BATCH, max(1, a_minute * WAIT_SECONDS // 60)),
        "maximum_parallel_batches": 1,
        "maximum_records_per_second": min(_LARGEST_BATCH, max(1, a_minute // 60)),
    }
