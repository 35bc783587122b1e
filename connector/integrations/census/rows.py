"""Run the operation of a row."""

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
from connector.integrations.census.objects import CensusBatch
from connector.integrations.census.rpc import LONGEST_MESSAGE
from connector.log import fault
from connector.operations.cancel_launch import CANCEL_LAUNCH, CancelLaunchInput
from connector.operations.start_interview import START_INTERVIEW, StartInput, StartOutput
from connector.service.execution.execute import execute
from connector.service.execution.operation import AnyOperation, Input, Output
from connector.service.input.validate import read_input
from connector.service.views.launch import LaunchOutput
from connector.text.redaction import cut

WAIT_SECONDS = 6
"""How long a batch waits for its rows to end; a row that is stored and still waits then is accepted."""

_QUEUED = (InvitationState.PLANNED, InvitationState.WAITING)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """Runs rows for the context's caller; `named` tells that the address or the call names the connection."""

    ctx: Context
    connection: str
    named: bool

    async def run(self, batch: CensusBatch, record: Any) -> dict[str, Any]:
        """Return the result of a row: success when its effect is stored, also for a row that is repeated."""
        name = batch.name_of(record)
        try:
            refusal = await self._refusal(batch, batch.values_of(record))
        except ConnectorError as error:
            refusal = error.message
        except Exception as error:  # noqa: BLE001 - after a fault in one row the others have their results
            _log.error("census_row_failed", **fault(error))
            refusal = "Something failed here; the log of the connector has it."
        result = {"identifier": name, "success": refusal is None}
        return result if refusal is None else {**result, "error_message": cut(refusal, LONGEST_MESSAGE)}

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

    async def _deleted(self, payload: Input) -> str | None:
        """Cancel the launch of a row that left the warehouse; return why it cannot be cancelled."""
        if not isinstance(payload, StartInput):
            return "What is in Amplitude stays there; forget_respondent erases a person."
        person = member(payload.user_id, payload.email, payload.name)
        ((_, keys),) = self.ctx.ledger.aliases.keyed(payload.connection, [person])
        invitation = await self.ctx.ledger.attribution.of_person(keys)
        if invitation is None or invitation.taken_at is None:
            return None
        if invitation.state not in _QUEUED:
            return "The interview is started; the respondent has the link, and it cannot be called back."
        launch = await self.ctx.ledger.launches.find(invitation.launch_id)
        if launch is None or not launch.single:
            others = f"This person waits in the launch {invitation.launch_id} with others"
            return f"{others}; cancel_launch stops it."
        cancel = CancelLaunchInput.model_validate({"launch_id": launch.id, "connection": payload.connection})
        output = await self._execute(CANCEL_LAUNCH, cancel)
        cancelled = isinstance(output, LaunchOutput) and output.cancelled > 0
        return None if cancelled else "The interview was started in this moment; it cannot be called back."

    async def _execute(self, op: AnyOperation, payload: Input) -> Output:
        if self.ctx.stopping.is_set():
            raise Conflict("The server is stopping; nothing was done.", code="stopping")
        executed = await execute(self.ctx, op, payload, caller=self.ctx.caller, by_name=_BY_NAME)
        return executed.output


_BY_NAME: Mapping[str, AnyOperation] = {op.name: op for op in (START_INTERVIEW, CANCEL_LAUNCH)}


def _why_not(output: Output) -> str | None:
    """Return why a row is not done, or None if it is done, or stored and waiting for its turn."""
    if isinstance(output, StartOutput) and output.status == "in_doubt":
        return (
            "Koji did not answer the start, and the interview is not started again; call resume_launch for "
            f"{output.launch_id} to decide."
        )
    status, reason = getattr(output, "status", None), getattr(output, "reason", None)
    if status != "skipped" or reason == SkipReason.RECENTLY:  # as for the repeat of a row
        return None
    return f"Skipped: {reason}."
