"""`koji-amplitude export FORMAT`: describe the operations for other tools."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import click

from connector import __version__
from connector.cli.arguments import Command
from connector.cli.startup import read_settings
from connector.cli.terminal import say

_FORMS: Final = ("openapi", "zapier", "power-platform", "manifest", "server-json")


@click.command(cls=Command)
@click.argument("form", metavar="FORMAT", type=click.Choice(_FORMS))
@click.option("--version", type=click.Choice(["3.1", "3.0"]), help="Version of openapi.  [default: 3.1]")
def command(form: str, version: str | None) -> int:
    """Print a description of this server as JSON; the server's URL is PUBLIC_URL.

    FORMAT is openapi, zapier, power-platform (a custom connector for Copilot Studio), manifest (of the MCP
    bundle) or server-json (for the MCP registry).
    """
    if version and form != "openapi":
        raise click.UsageError(f"--version is for openapi, not for {form}", click.get_current_context())
    described = _described(form)
    if version == "3.0":
        from connector.http.docs.older import openapi_3_0

        described = openapi_3_0(described)
    sys.stdout.write(json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    return 0


def _described(form: str) -> dict[str, Any]:
    from connector.app import ENDPOINTS
    from connector.http.docs.openapi import openapi
    from connector.integrations.zapier.app import zapier_app
    from connector.operations import OPERATIONS
    from connector.service.triggers import TRIGGERS
    from mcp_server.package.manifest import manifest
    from mcp_server.package.power_platform import power_platform
    from mcp_server.package.server_json import server_json

    match form:
        case "openapi":
            return openapi(OPERATIONS, ENDPOINTS, public_url=_public_url())
        case "zapier":
            return zapier_app(OPERATIONS, TRIGGERS, public_url=_public_url(), version=__version__)
        case "power-platform":
            return power_platform(_public_url(), __version__)
        case "manifest":
            return manifest(OPERATIONS, TRIGGERS, version=__version__)
    return server_json(__version__)


def _public_url() -> str:
    url = read_settings(quiet=True).public_url
    if not url.startswith("https://"):
        say(f"warning: PUBLIC_URL is {url}; other services only reach a public address with https")
    return url
