"""`koji-amplitude export FORMAT`: describe the operations for other tools."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from connector import __version__
from connector.cli.arguments import Command
from connector.cli.startup import read_settings
from connector.cli.terminal import say


@click.command(cls=Command)
@click.argument("form", metavar="FORMAT", type=click.Choice(["openapi", "zapier", "manifest", "server-json"]))
def command(form: str) -> int:
    """Print a description of this server as JSON; the server's URL is PUBLIC_URL.

    FORMAT is openapi, zapier, manifest (of the MCP bundle) or server-json (for the MCP registry).
    """
    sys.stdout.write(json.dumps(_described(form), indent=2, ensure_ascii=False) + "\n")
    return 0


def _described(form: str) -> dict[str, Any]:
    from connector.app import ENDPOINTS
    from connector.http.docs.openapi import openapi
    from connector.integrations.zapier.app import zapier_app
    from connector.operations import OPERATIONS
    from connector.service.triggers import TRIGGERS
    from mcp_server.package.manifest import manifest
    from mcp_server.package.server_json import server_json

    match form:
        case "openapi":
            return openapi(OPERATIONS, ENDPOINTS, public_url=_public_url())
        case "zapier":
            return zapier_app(OPERATIONS, TRIGGERS, public_url=_public_url(), version=__version__)
        case "manifest":
            return manifest(OPERATIONS, TRIGGERS, version=__version__)
    return server_json(__version__)


def _public_url() -> str:
    url = read_settings(quiet=True).public_url
    if not url.startswith("https://"):
        say(f"warning: PUBLIC_URL is {url}; other services only reach a public address with https")
    return url
