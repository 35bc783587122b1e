"""The MCP SDK's own server with one trivial tool, served as the connector is: the ceiling of `mcp`."""

from __future__ import annotations

import sys

import uvicorn
from mcp.server import MCPServer
from starlette.requests import Request
from starlette.responses import Response

from connector.http.server.server import config

bare = MCPServer("bare")


@bare.tool()
async def trivial() -> str:
    """Answer a word."""
    return "ok"


async def healthz(_: Request) -> Response:
    return Response("ok")


if __name__ == "__main__":
    app = bare.streamable_http_app(stateless_http=True)
    app.add_route("/healthz", healthz)
    uvicorn.Server(config(app, "127.0.0.1", int(sys.argv[1]))).run()
