"""PURE: describe the server as an MCP bundle for hosts to show and run (`manifest.json`, MCPB 0.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connector.service.execution.operation import AnyOperation
from connector.service.triggers import Trigger
from mcp_server.package import DESCRIPTION, NAMESPACE, PACKAGE, TITLE
from mcp_server.package.asked_settings import ASKED, AskedSetting
from mcp_server.prompts import PROMPTS, ReadyPrompt
from mcp_server.tools.catalogue import tool

HERE: Final = "${__dirname}"

LONG_DESCRIPTION: Final = (
    "Amplitude knows what your users did, Koji's AI interviews know why. Invite a cohort to interviews, read "
    "what they found, and write it back as an event and user properties. Who is invited and what it costs is "
    "shown before anything is sent; caps that no request lifts stand above it. Data stays on this computer, "
    "in Koji and in Amplitude."
)


def manifest(
    operations: Sequence[AnyOperation], triggers: Sequence[Trigger], *, version: str
) -> dict[str, Any]:
    """Return the manifest of a bundle that holds this version."""
    return {
        "manifest_version": "0.4",
        "name": PACKAGE,
        "display_name": TITLE,
        "version": version,
        "description": DESCRIPTION,
        "long_description": LONG_DESCRIPTION,
        "author": {"name": "The koji-amplitude maintainers"},
        "license": "Apache-2.0",
        "keywords": ["amplitude", "koji", "interviews", "webhooks", "cohorts"],
        "privacy_policies": ["https://www.koji.so/privacy", "https://amplitude.com/privacy"],
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": ">=3.11"}},
        "server": {"type": "uv", "entry_point": "bundle.py", "mcp_config": _run()},
        "user_config": {setting.name: _field(setting) for setting in ASKED},
        "tools": [{"name": op.name, "description": tool(op).description} for op in operations],
        "prompts": [_prompt(ready) for ready in PROMPTS],
        "_meta": {
            NAMESPACE: {
                "triggers": [
                    {"name": trigger.name.value, "title": trigger.title, "description": trigger.description}
                    for trigger in triggers
                ],
                "actions": [_action(op) for op in operations],
            }
        },
    }


def _run() -> dict[str, Any]:
    # as a tool, because `uv run` obeys no pins but those of a lock file, and leaves its own in the bundle
    return {
        "command": "uv",
        "args": ["tool", "run", "--from", HERE, "--constraints", f"{HERE}/constraints.txt", PACKAGE, "mcp"],
        "env": {setting.name.upper(): f"${{user_config.{setting.name}}}" for setting in ASKED},
    }


def _field(setting: AskedSetting) -> dict[str, Any]:
    schema = setting.schema
    return {
        "type": "number" if "minimum" in schema else "string",
        "title": setting.title,
        "description": setting.description,
        "required": setting.is_required,
        **({"sensitive": True} if "writeOnly" in schema else {}),
        **({} if schema["default"] is None else {"default": schema["default"]}),
        **({"min": schema["minimum"]} if "minimum" in schema else {}),
    }


def _prompt(ready: ReadyPrompt) -> dict[str, Any]:
    # the format has no optional arguments
    needed = [argument.name for argument in ready.prompt.arguments or [] if argument.required]
    return {
        "name": ready.prompt.name,
        "description": ready.prompt.description,
        "arguments": needed,
        "text": ready.text({name: f"${{arguments.{name}}}" for name in needed}),
    }


def _action(op: AnyOperation) -> dict[str, Any]:
    return {
        "name": op.name,
        "title": op.title,
        "description": op.summary,
        "effect": op.effect.value,
        "path": f"/actions/{op.name}",
    }
