"""What describes the operations to everybody: `GET /openapi.json` and `GET /docs`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.context import Context
from connector.http.docs.openapi import openapi
from connector.http.docs.page import docs_page
from connector.http.docs.style import content_security_policy
from connector.service.execution.operation import AnyOperation


def published_routes(
    operations: Sequence[AnyOperation], context: Callable[[], Context], version: str
) -> list[Route]:
    """Return the routes of both descriptions; each is made once for an address."""

    @cache
    def openapi_text(public_url: str) -> str:
        return json.dumps(
            openapi(operations, public_url=public_url, version=version),
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @cache
    def docs_text(public_url: str) -> str:
        return docs_page(operations, public_url=public_url, version=version)

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
