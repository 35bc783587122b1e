"""Serve the operations: `POST /actions/{operation}`, for READ operations also `GET`; and their documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connector.errors import LedgerUnavailable, NotFound
from connector.http.auth import Gate
from connector.http.docs.openapi import openapi
from connector.http.docs.page import HEADERS, STATIC, docs_page
from connector.http.endpoint import NO_STORE, ContextOf, Endpoint, as_json, served
from connector.http.health import HEALTH
from connector.http.hooks import HOOKS
from connector.http.metrics import METRICS
from connector.http.opt_out.page import ask_to_opt_out, opt_out
from connector.http.request import read_input, refuse_cross_site
from connector.http.triggers import TRIGGERS
from connector.http.webhooks.cohort import COHORT_WEBHOOK
from connector.http.webhooks.koji import KOJI_WEBHOOK
from connector.service.execution.execute import Executed, admit, execute
from connector.service.execution.follow_up import status_url
from connector.service.execution.operation import AnyOperation, Effect, Input

ENDPOINTS: Sequence[Endpoint] = (
    *(*HEALTH, *METRICS, *HOOKS, *TRIGGERS, *KOJI_WEBHOOK, *COHORT_WEBHOOK),
    *(ask_to_opt_out, opt_out),
)
"""The endpoints beside the operations, without those of the integrations."""


def routes(
    operations: Sequence[AnyOperation], endpoints: Sequence[Endpoint], *, context: ContextOf, gate: Gate
) -> list[BaseRoute]:
    """Return the routes of the operations and the endpoints, and of the two documents that describe them.

    Each request calls `context`; `gate` lets callers in. Serve the routes inside `middleware.Boundary`, with
    `problem.on_http_exception` as the handler of `HTTPException`.
    """
    return [
        _action_route(operations, context, gate),
        *served(endpoints, context, gate),
        *_document_routes(operations, endpoints, context),
    ]


def _action_route(operations: Sequence[AnyOperation], context: ContextOf, gate: Gate) -> Route:
    by_name = {op.name: op for op in operations}

    async def action(request: Request) -> Response:
        refuse_cross_site(request, context().settings)
        came_at = context().clock.now()
        caller = await gate.caller(request)
        op = _find(by_name, request.path_params["operation"])
        if request.method != "POST" and op.effect is not Effect.READ:
            raise HTTPException(405, headers={"Allow": "POST"})
        ctx = replace(context(), caller=caller, since=came_at)
        if ctx.stopping.is_set():
            raise LedgerUnavailable("The server is stopping; send the request again.", code="stopping")
        await admit(ctx, op)  # before the body, which may be large
        payload = await read_input(request, op, ctx)
        done = await execute(ctx, op, payload, caller=caller, by_name=by_name)
        return answer(done, payload, ctx.settings.public_url)

    return Route("/actions/{operation}", action, methods=["GET", "POST"], name="action")


def answer(done: Executed, payload: Input, public_url: str) -> Response:
    """Return the response for an operation's output; a 202 carries the `status_url` to follow."""
    headers = {**NO_STORE, "Idempotency-Replayed": "true"} if done.replayed else NO_STORE
    body: Any = done.output
    if done.status == 202:
        url = None
        if (follow_up := done.output.follow_up()) is not None:
            name, arguments = follow_up
            url = status_url(name, {"connection": payload.connection, **arguments}, public_url)
        body = {**done.output.model_dump(mode="json"), "status_url": url}
        if done.callback_secret is not None:
            body["callback_secret"] = done.callback_secret
    return as_json(body, done.status, headers)


def _document_routes(
    operations: Sequence[AnyOperation], endpoints: Sequence[Endpoint], context: ContextOf
) -> list[BaseRoute]:
    """Return the first page and the two documents, open to all callers; the documents are made once."""

    @cache
    def documents(public_url: str) -> tuple[str, str]:
        document = openapi(operations, endpoints, public_url=public_url)
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        return text, docs_page(operations, document)

    async def openapi_json(_: Request) -> Response:
        return Response(documents(context().settings.public_url)[0], media_type="application/json")

    async def docs(_: Request) -> Response:
        page = documents(context().settings.public_url)[1]
        return Response(page, headers=HEADERS, media_type="text/html")

    return [
        Route("/openapi.json", openapi_json),
        Route("/docs", docs),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _find(by_name: Mapping[str, AnyOperation], name: str) -> AnyOperation:
    if name in by_name:
        return by_name[name]
    close = get_close_matches(name.replace("-", "_"), by_name, n=3)
    hint = f" Did you mean {', '.join(close)}?" if close else " /docs lists them."
    raise NotFound(f"There is no operation of that name.{hint}", code="unknown_operation")
