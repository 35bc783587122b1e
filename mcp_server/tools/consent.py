"""Ask the person behind a client before an operation spends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from mcp import types
from mcp.shared.exceptions import MCPError
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from connector.context import Context
from connector.errors import ConnectorError
from connector.service.execution.operation import AnyOperation, Approver, ConsentRequired, Input, Output
from mcp_server.answers.untrusted import clean
from mcp_server.host import Request

PATIENCE_SECONDS: Final = 240.0
"""How long a question waits for its answer: a plan is good for 10 minutes, and clients wait for 5."""

_KEY = "approve"
_FORM: Final[dict[str, Any]] = {"type": "object", "properties": {}}
"""The form has no fields: accepting it is the approval."""
_NOTHING = "Nothing was started and nothing was spent."


class ConsentPending(ConnectorError, code="asked"):
    """The question is on its way; the client calls again with the answer."""

    def __init__(self, question: str, state: str) -> None:
        super().__init__("The person is being asked.")
        form = types.ElicitRequest(
            params=types.ElicitRequestFormParams(message=question, requested_schema=_FORM)
        )
        self.answer = types.InputRequiredResult(input_requests={_KEY: form}, request_state=state)


@dataclass(frozen=True, slots=True)
class Consent(Approver):
    """One call's way to the person who uses the client; `gone` is set when the client hangs up.

    In MCP 2026-07-28 a call is answered with the question. The client repeats the call with the answer and
    with the state, which `server` sealed. In earlier revisions the question is a request of ours inside the
    call, which stateless HTTP cannot carry.
    """

    request: Request
    params: types.CallToolRequestParams
    gone: asyncio.Event

    @property
    def state(self) -> str | None:
        """Return the state of the question that this call answers, or None if none was asked."""
        return self.params.request_state

    def require_way(self, otherwise: str) -> None:
        """Raise `ConsentRequired` when the client cannot ask; `otherwise` says what to do then."""
        if not self._can_ask():
            by_itself = self._is_modern() or self.request.session.can_send_request
            what = "client" if by_itself else "transport (Streamable HTTP before 2026-07-28)"
            raise ConsentRequired(f"This {what} cannot ask the user. {_NOTHING} {otherwise}")

    async def require(self, question: str, state: str) -> None:
        """Return when the person approved; raise `ConsentRequired`, or `ConsentPending` before the answer."""
        if self.state is not None:
            _check((self.params.input_responses or {}).get(_KEY))
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

    async def _ask(self, question: str) -> types.ElicitResult | None:
        """Return the answer, or None if none came in time or the client hung up."""
        session = self.request.session
        asking = asyncio.ensure_future(session.elicit_form(question, _FORM, self.request.request_id))
        hung_up = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait({asking, hung_up}, timeout=PATIENCE_SECONDS, return_when="FIRST_COMPLETED")
            if (
                asking.done() and not self.gone.is_set()
            ):  # an answer that comes with the hanging up is too late
                with suppress(MCPError, ValidationError):
                    return asking.result()
            return None
        finally:
            asking.cancel()
            hung_up.cancel()


def _check(answer: object) -> None:
    if not isinstance(answer, types.ElicitResult):
        raise ConsentRequired(f"The question was not answered. {_NOTHING} Call again to ask once more.")
    if answer.action != "accept":
        raise ConsentRequired(f"The person did not approve. {_NOTHING}")


def guarded(op: AnyOperation, consent: Consent) -> AnyOperation:
    """Return the operation, which asks its question before it runs; unchanged when it has none."""
    approved = op.approved
    if approved is None:
        return op

    async def run(ctx: Context, payload: Input) -> Output:
        output: Output = await approved(ctx, payload, consent)
        return output

    return replace(op, run=run)


def keyed(op: AnyOperation, payload: Input, consent: Consent) -> Input:
    """Return the input with an idempotency key, so that an approval which arrives twice starts one launch."""
    if op.approved is None or consent.state is None or getattr(payload, "idempotency_key", None):
        return payload
    return payload.model_copy(update={"idempotency_key": f"approved {consent.state}"})
