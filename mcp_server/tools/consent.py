"""Ask the person behind a client before an operation spends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from connector.context import Context
from connector.errors import ConnectorError
from connector.service.execution.operation import AnyOperation, Approver, ConsentRequired, Input, Output
from mcp_server.answers.untrusted import clean
from mcp_server.host import Request

PATIENCE_SECONDS: Final = 240.0
"""How long a question may stand open: a plan is good for 10 minutes, and clients wait for 5."""

_KEY = "approve"
_FORM: Final[dict[str, Any]] = {"type": "object", "properties": {}}
"""Nothing to fill in: accepting is the approval."""
_NOTHING = "Nothing was started and nothing was spent."


class ConsentPending(ConnectorError, code="asked"):
    """The question is on its way; the client calls again with the answer."""

    def __init__(self, question: str, state: str) -> None:
        super().__init__("The person is being asked.")
        form = ElicitRequestFormParams(message=question, requested_schema=_FORM)
        self.answer = InputRequiredResult(
            input_requests={_KEY: ElicitRequest(params=form)}, request_state=state
        )


@dataclass(frozen=True, slots=True)
class Consent(Approver):
    """One call's way to the person who uses the client; `gone` is set when the client hangs up.

    `MCP 2026-07-28` answers a call with the question, and the client repeats the call with the answer and
    with the state that we sealed (see `server`). Before that, the question is a request of ours inside the
    call, which stateless HTTP cannot carry.
    """

    request: Request
    params: CallToolRequestParams
    gone: asyncio.Event

    @property
    def state(self) -> str | None:
        """Return the state of the question that this call answers, None when none was asked."""
        return self.params.request_state

    def require_way(self, otherwise: str) -> None:
        """Raise `ConsentRequired` when the client cannot ask; `otherwise` says what to do then."""
        if not self._can_ask():
            raise ConsentRequired(f"This client cannot ask its user. {_NOTHING} {otherwise}")

    async def require(self, question: str, state: str) -> None:
        """Return when the person approved; raise `ConsentRequired`, or `ConsentPending` before the answer."""
        if self.state is not None:
            answers = self.params.input_responses or {}
            _check(answers.get(_KEY))
        elif self._is_modern():
            raise ConsentPending(clean(question), state)
        else:
            _check(await self._ask(clean(question)))

    def _is_modern(self) -> bool:
        return self.request.protocol_version in MODERN_PROTOCOL_VERSIONS

    def _can_ask(self) -> bool:
        if self.state is not None:
            return True
        capabilities = self.request.session.client_capabilities
        declared = capabilities.elicitation if capabilities else None
        if declared is None or (declared.form is None and declared.url is not None):
            return False
        return self._is_modern() or self.request.session.can_send_request

    async def _ask(self, question: str) -> ElicitResult | None:
        """Return the answer, None when none came in time or the client hung up."""
        asking = asyncio.ensure_future(
            self.request.session.elicit_form(question, _FORM, self.request.request_id)
        )
        hung_up = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait(
                {asking, hung_up}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            # an answer that comes with the hanging up is too late
            if not asking.done() or self.gone.is_set():
                return None
            with suppress(MCPError, ValidationError):
                return asking.result()
            return None
        finally:
            asking.cancel()
            hung_up.cancel()


def _check(answer: object) -> None:
    if not isinstance(answer, ElicitResult):
        raise ConsentRequired(f"The question was not answered. {_NOTHING} Call again to ask once more.")
    if answer.action != "accept":
        raise ConsentRequired(f"The person did not approve. {_NOTHING}")


def guarded(op: AnyOperation, consent: Consent) -> AnyOperation:
    """Return the operation with its question before it, or as it is when it has none."""
    approved = op.approved
    if approved is None:
        return op

    async def run(ctx: Context, given: Input) -> Output:
        output: Output = await approved(ctx, given, consent)
        return output

    return replace(op, run=run)


def keyed(op: AnyOperation, given: Input, consent: Consent) -> Input:
    """Return the input with a key of its own, so that an answer which arrives twice starts one thing."""
    if op.approved is None or consent.state is None or getattr(given, "idempotency_key", None):
        return given
    return given.model_copy(update={"idempotency_key": f"approved {consent.state}"})
