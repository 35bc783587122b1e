"""Tell whether the running server has the settings that this process, and the files, have now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from connector.context import Context
from connector.errors import LedgerUnavailable
from connector.service.checks.credentials import Finding
from connector.settings.model import Settings

_SERVER: Final = "server"
_ALIVE: Final = 30_000  # ms after the last look
CHANGED: Final = "The settings have changed since the server started: restart it."
_OF_ONE_PROCESS: Final = frozenset(
    {"host", "port", "connector_log_level", "connector_api_token", "database_url", "public_url"}
)
"""Settings in which two processes on one ledger may differ; PUBLIC_URL counts once it is set."""


async def settings_check(ctx: Context) -> Finding:
    """Compare the running server's settings with the files and with this process."""
    notes = await ctx.ledger.diagnostics.since("", _SERVER, ctx.clock.now() - _ALIVE)
    server = notes[0].detail if notes else {}
    if server.get("changed"):
        return "warn", CHANGED
    if server and server["started"] != fingerprint(ctx, ctx.settings):
        return "warn", (
            "The running server has other settings than this command: restart the server, or run the command "
            "where the server's settings are."
        )
    return "ok", "No running server has other settings."


def fingerprint(ctx: Context, settings: Settings) -> str:
    """Return a hash of settings that only this ledger can make, and from which no value can be told."""
    own = _OF_ONE_PROCESS - ({"public_url"} & settings.model_fields_set)
    values = {name: value for name, value in settings if name not in own}
    return ctx.ledger.keyed_hash(json.dumps(values, default=_plain, sort_keys=True))


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return dict(value) if isinstance(value, BaseModel | Mapping) else str(value)


async def note(ctx: Context, detail: Mapping[str, Any]) -> None:
    """Note the running server's fingerprint (`started`) and whether they `changed` since; {} at its end."""
    with suppress(LedgerUnavailable):
        await ctx.ledger.diagnostics.add("", _SERVER, detail, ctx.clock.now(), 1)
