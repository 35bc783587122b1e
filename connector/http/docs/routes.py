"""The descriptions of the server, open to all: `GET /openapi.json` and `GET /docs`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.http.docs.openapi import openapi
from connector.http.docs.page import content_security_policy, docs_page
from connector.http.endpoint import ContextOf, Endpoint
from connector.service.execution.operation import AnyOperation


def description_routes(
    operations: Sequence[AnyOperation], endpoints: Sequence[Endpoint], context: ContextOf
) -> list[Route]:
    """Return the routes of both descriptions; each is made once for an address."""

    @cache
    def document(public_url: str) -> dict[str, Any]:
        return openapi(operations, endpoints, public_url=public_url)

    @cache
    def openapi_text(public_url: str) -> str:
        return json.dumps(document(public_url), separators=(",", ":"), ensure_ascii=False)

    @cache
    def docs_text(public_url: str) -> str:
        return docs_page(operations, document(public_url))

    async def openapi_json(_: Request) -> Response:
        return Response(openapi_text(context().settings.public_url), media_type="application/json")

    async def docs(_: Request) -> Response:
        headers = {
            "Content-Security-Policy": content_security_policy(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Response(docs_text(context().settings.public_url), headers=headers, media_type="text/html")

    return [Route("/openapi.json", openapi_json), Route("/docs", docs)]
