"""PURE: describe the server as an entry of the MCP registry (`server.json`)."""

from __future__ import annotations

from typing import Any, Final

from mcp_server.package import DESCRIPTION, PACKAGE, REGISTRY_NAME, TITLE
from mcp_server.package.asked_settings import ASKED, AskedSetting

SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


def server_json(version: str) -> dict[str, Any]:
    """Return the entry of one version: its package, run over stdio."""
    return {
        "$schema": SCHEMA,
        "name": REGISTRY_NAME,
        "title": TITLE,
        "description": DESCRIPTION,
        "version": version,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": PACKAGE,
                "version": version,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": [{"type": "positional", "value": "mcp"}],
                "environmentVariables": [_variable(setting) for setting in ASKED],
            }
        ],
    }


def _variable(setting: AskedSetting) -> dict[str, Any]:
    schema = setting.schema
    return {
        "name": setting.name.upper(),
        "description": setting.description,
        "isRequired": setting.is_required,
        "isSecret": "writeOnly" in schema,
        "format": "number" if "minimum" in schema else "string",
        **({"choices": schema["enum"]} if "enum" in schema else {}),
        **({} if schema["default"] is None else {"default": str(schema["default"])}),
    }
