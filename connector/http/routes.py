"""Operations over HTTP: `POST /actions/{operation}`, for READ operations also `GET`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.errors import ConnectorError, NotFound, StoreUnavailable
from connector.http.auth import Gate
from connector.http.docs.routes import description_routes
from connector.http.endpoint import NO_STORE, ContextOf, Endpoint, as_json, served
from connector.http.health import HEALTH
from connector.http.hooks import HOOKS
from connector.http.request import read_input
from connector.http.triggers import TRIGGERS
from connector.http.webhooks.cohort import COHORT_WEBHOOK
from connector.http.webhooks.koji import KOJI_WEBHOOK
from connector.service.execution.execute import Executed, check_scope, execute
from connector.service.execution.follow_up import status_url as operation_url
from connector.service.execution.operation import AnyOperation, Effect, Input, Output

ENDPOINTS: Sequence[Endpoint] = (*HEALTH, *HOOKS, *TRIGGERS, *KOJI_WEBHOOK, *COHORT_WEBHOOK)
"""What is served beside the operations, apart from the integrations."""


def routes(
    operations: Sequence[AnyOperation], endpoints: Sequence[Endpoint], *, context: ContextOf, gate: Gate
) -> list[Route]:
    """Return the routes of the operations and the endpoints, and of the two documents that describe them.

    `context` is asked at each request; `gate` lets callers in. Serve the routes inside `middleware.Boundary`,
    with `problem.on_http_exception` as the handler of `HTTPException`.
    """
    return [
        _action_route(operations, context, gate),
        *served(endpoints, context, gate),
        *description_routes(operations, endpoints, context),
    ]


def _action_route(operations: Sequence[AnyOperation], context: ContextOf, gate: Gate) -> Route:
    by_name = {op.name: op for op in operations}

    async def action(request: Request) -> Response:
        caller = await gate.caller(request)
        op = _find(by_name, request.path_params["operation"])
        if request.method != "POST" and op.effect is not Effect.READ:
            raise HTTPException(405, headers={"Allow": "POST"})
        ctx = context()
        if ctx.stopping.is_set():
            raise StoreUnavailable("The server is stopping; send the request again.", code="stopping")
        try:
            payload = await read_input(request, op)
        except ConnectorError:
            check_scope(caller, op)  # a caller without the scope learns that, not how to call it
            raise
        done = await execute(ctx, op, payload, caller=caller, by_name=by_name)
        return answer(done, payload, ctx.settings.public_url)

    return Route("/actions/{operation}", action, methods=["GET", "POST"], name="action")


def answer(done: Executed, payload: Input, public_url: str) -> Response:
    """Return the response for an operation's output; a 202 also says where its end can be read."""
    headers = {**NO_STORE, "Idempotency-Replayed": "true"} if done.replayed else NO_STORE
    body: Any = done.output
    if done.status == 202:
        url = status_url(done.output, payload.connection, public_url)
        body = {**done.output.model_dump(mode="json"), "status_url": url}
        if done.callback_secret is not None:
            body["callback_secret"] = done.callback_secret
    return as_json(body, done.status, headers)


def status_url(output: Output, connection: str, public_url: str) -> str | None:
    """Return the address whose `GET` tells the end of what `output` began, None when it has ended."""
    follow_up = output.follow_up()
    if follow_up is None:
        return None
    name, arguments = follow_up
    return operation_url(name, {"connection": connection, **arguments}, public_url)


def _find(by_name: Mapping[str, AnyOperation], name: str) -> AnyOperation:
    if name in by_name:
        return by_name[name]
    close = get_close_matches(name.replace("-", "_"), by_name, n=3)
    hint = f" Did you mean {', '.join(close)}?" if close else " /docs lists them."
    raise NotFound(f"There is no operation of that name.{hint}", code="unknown_operation")
