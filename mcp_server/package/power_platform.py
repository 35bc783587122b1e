"""PURE: describe `/mcp` as a custom connector of Microsoft's Power Platform (Swagger 2.0)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from mcp_server.package import DESCRIPTION, TITLE


def power_platform(public_url: str, version: str) -> dict[str, Any]:
    """Return the definition that Copilot Studio imports to use the tools of a server."""
    parts = urlsplit(public_url)
    return {
        "swagger": "2.0",
        "info": {"title": TITLE, "description": DESCRIPTION, "version": version},
        "host": parts.netloc,
        "basePath": parts.path or "/",
        "schemes": [parts.scheme],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {
            "/mcp": {
                "post": {
                    "operationId": "InvokeServer",
                    "summary": TITLE,
                    "description": DESCRIPTION,
                    "x-ms-agentic-protocol": "mcp-streamable-1.0",
                    "responses": {"200": {"description": "The answer of a tool."}},
                }
            }
        },
        "securityDefinitions": {"token": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        "security": [{"token": []}],
    }
