"""`koji-amplitude export FORMAT`: what the operations are, in the words of other tools."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connector import __version__
from connector.app import ENDPOINTS
from connector.cli.arguments import USAGE, Parser
from connector.cli.startup import read_settings
from connector.cli.terminal import PROGRAM, say
from connector.http.docs.openapi import openapi
from connector.integrations.zapier.app import zapier_app
from connector.operations import OPERATIONS
from connector.service.triggers import TRIGGERS
from mcp_server.package.manifest import manifest
from mcp_server.package.server_json import server_json


def main(words: Sequence[str]) -> int:
    """Print one description and return the exit code. Raises SettingsError."""
    parser = Parser("export", "Print a description of this server as JSON; its address is PUBLIC_URL.")
    parser.usage = f"{PROGRAM} export {'|'.join(_FORMATS)}"
    parser.add_argument("format", metavar="FORMAT", nargs="?", help=f"What for: {_choices()}.")
    given = parser.read(words)
    made = _FORMATS.get(given.format)
    if made is None:
        say(f"error: export: say {_choices()}, as in {PROGRAM} export zapier")
        return USAGE
    sys.stdout.write(json.dumps(made(), indent=2, ensure_ascii=False) + "\n")
    return 0


def _openapi() -> dict[str, Any]:
    return openapi(OPERATIONS, ENDPOINTS, public_url=_public_url())


def _zapier() -> dict[str, Any]:
    return zapier_app(OPERATIONS, TRIGGERS, public_url=_public_url(), version=__version__)


def _manifest() -> dict[str, Any]:
    return manifest(OPERATIONS, TRIGGERS, version=__version__)


def _server_json() -> dict[str, Any]:
    return server_json(__version__)


def _public_url() -> str:
    url = read_settings(quiet=True).public_url
    if not url.startswith("https://"):
        say(f"warning: PUBLIC_URL is {url}; other services only reach a public address with https")
    return url


_FORMATS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "openapi": _openapi,
    "zapier": _zapier,
    "manifest": _manifest,
    "server-json": _server_json,
}


def _choices() -> str:
    *others, last = _FORMATS
    return f"{', '.join(others)} or {last}"
