"""Run one row as the operation that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from connector.context import Context
from connector.domain.launches.eligibility import SkipReason
from connector.domain.launches.launch import InvitationState
from connector.domain.people.same_person import member
from connector.errors import Conflict, ConnectorError, InvalidInput
from connector.integrations.census.batch import CensusBatch
from connector.integrations.census.rpc import LONGEST_MESSAGE
from connector.log import fault
from connector.operations.cancel_launch import CANCEL_LAUNCH, CancelLaunchInput
from connector.operations.start_interview import START_INTERVIEW, StartInput, StartOutput
from connector.security.caller import Caller
from connector.service.execution.execute import execute
from connector.service.execution.operation import AnyOperation, Input, Output
from connector.service.input.validate import read_input
from connector.service.views.launch import LaunchOutput
from connector.text.redaction import cut

WAIT_SECONDS = 6
"""How long a batch waits for its ends; rows that are stored by then and wait on count as accepted."""

_QUEUED = (InvitationState.PLANNED, InvitationState.WAITING)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """Who sends rows, and for which connection; `named` tells that the address or the call said which."""

    ctx: Context
    caller: Caller
    connection: str
    named: bool

    async def run(self, batch: CensusBatch, record: Any) -> dict[str, Any]:
        """Return the result of a row: done only when what it asks for is stored, however often it comes."""
        name = batch.name_of(record)
        try:
            refusal = await self._refusal(batch, batch.values_of(record))
        except ConnectorError as error:
            refusal = error.message
        except Exception as error:  # noqa: BLE001 - a fault over one row leaves the others their results
            _log.error("census_row_failed", **fault(error))
            refusal = "Something failed here; the log of the connector has it."
        if refusal is None:
            return {"identifier": name, "success": True}
        message = cut(refusal, LONGEST_MESSAGE)
        return {"identifier": name, "success": False, "error_message": message}

    async def _refusal(self, batch: CensusBatch, record: Mapping[str, Any]) -> str | None:
        op = batch.of.operation
        payload: Input = read_input(op.input, record, connection=self.connection, wait_seconds=WAIT_SECONDS)
        if self.named and payload.connection != self.connection:
            raise InvalidInput.of("connection", f"the address of this destination says {self.connection}")
        if batch.action == "delete":
            return await self._deleted(payload)
        if getattr(payload, "reinvite_after_days", None) == 0:
            raise InvalidInput.of(
                "reinvite_after_days", "must be at least 1 here: Census may send any row again"
            )
        return _why_not(await self._execute(op, payload))

    async def _deleted(self, given: Input) -> str | None:
        if not isinstance(given, StartInput):
            return "What is in Amplitude stays there; forget_respondent erases a person."
        person = member(given.user_id, given.email, given.name)
        ((_, keys),) = self.ctx.ledger.aliases.keyed(given.connection, [person])
        found = await self.ctx.ledger.attribution.of_person(keys)
        if found is None or found.taken_at is None:
            return None
        if found.state not in _QUEUED:
            return "The interview is started; a link that somebody has cannot be called back."
        launch = await self.ctx.ledger.launches.find(found.launch_id)
        if launch is None or not launch.single:
            return f"This person waits in the launch {found.launch_id} with others; cancel_launch stops it."
        asked = CancelLaunchInput.model_validate({"launch_id": launch.id, "connection": given.connection})
        output = await self._execute(CANCEL_LAUNCH, asked)
        called_off = isinstance(output, LaunchOutput) and output.cancelled > 0
        return None if called_off else "The interview was started in this moment; it cannot be called back."

    async def _execute(self, op: AnyOperation, payload: Input) -> Output:
        if self.ctx.stopping.is_set():
            raise Conflict("The server is stopping; nothing was done.", code="stopping")
        executed = await execute(self.ctx, op, payload, caller=self.caller, by_name=_BY_NAME)
        return executed.output


_BY_NAME: Mapping[str, AnyOperation] = {op.name: op for op in (START_INTERVIEW, CANCEL_LAUNCH)}


def _why_not(output: Output) -> str | None:
    """Return why a row is not done, None when it is, or is stored and waits for its turn."""
    if isinstance(output, StartOutput) and output.status == "in_doubt":
        return (
            f"Koji gave no answer to the start, and it is not started again; resume_launch "
            f"{output.launch_id} decides."
        )
    status, reason = getattr(output, "status", None), getattr(output, "reason", None)
    if status != "skipped" or reason == SkipReason.RECENTLY:  # asked before, as the repeat of a row is
        return None
    return f"Skipped: {reason}."
