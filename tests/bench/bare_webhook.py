"""A plain Starlette server that verifies a webhook's signature, parses its body and answers: nothing less can be done."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.bench.load import SECRET


async def receive(request: Request) -> JSONResponse:
    """Answer a webhook whose signature is right."""
    body = await request.body()
    said = request.headers.get("x-koji-signature", "").removeprefix("sha256=")
    if not hmac.compare_digest(said, hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()):
        return JSONResponse({"error": "signature"}, 401)
    json.loads(body)
    return JSONResponse({"status": "accepted"})


async def healthy(_: Request) -> JSONResponse:
    """Answer that the server is there."""
    return JSONResponse({"status": "ok"})


if __name__ == "__main__":
    routes = [Route("/webhooks/koji", receive, methods=["POST"]), Route("/healthz", healthy)]
    uvicorn.run(Starlette(routes=routes), port=int(sys.argv[1]), log_level="warning", access_log=False)
