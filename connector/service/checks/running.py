"""Tell whether the running server has the settings that this process, and the files, have now."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
from pydantic import BaseModel, SecretStr

from connector.context import Context
from connector.errors import LedgerUnavailable, SettingsError
from connector.service.checks.credentials import Finding
from connector.settings.model import Settings

_log = structlog.get_logger(__name__)
_SERVER: Final = "server"
_LOOK_EVERY: Final = 5.0  # seconds
_ALIVE: Final = 30_000  # ms after the last look
_OF_ONE_PROCESS: Final = frozenset(
    {"host", "port", "connector_log_level", "connector_api_token", "database_url", "public_url"}
)
"""Settings in which two processes on one ledger may differ; PUBLIC_URL counts once it is set."""


async def watch(ctx: Context, read: Callable[[], Settings]) -> None:
    """Note in the ledger, until cancelled, whether the settings still are those of the start.

    The ledger keeps keyed hashes, no values. `read` reads the settings anew; one that fails is a change.
    """
    started, is_changed = _fingerprint(ctx, ctx.settings), False
    try:
        while True:
            was_changed, is_changed = is_changed, _reread(ctx, read) != started
            if is_changed and not was_changed:
                _log.warning("settings_changed", message=_CHANGED)
            await _note(ctx, {"started": started, "changed": is_changed})
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        await _note(ctx, {})


async def settings_check(ctx: Context) -> Finding:
    """Compare the running server's settings with the files and with this process."""
    notes = await ctx.ledger.diagnostics.since("", _SERVER, ctx.clock.now() - _ALIVE)
    server = notes[0].detail if notes else {}
    if server.get("changed"):
        return "warn", _CHANGED
    if server and server["started"] != _fingerprint(ctx, ctx.settings):
        return "warn", (
            "The running server has other settings than this command: restart the server, or run the command "
            "where the server's settings are."
        )
    return "ok", "No running server has other settings."


_CHANGED: Final = "The settings have changed since the server started: restart it."


def _reread(ctx: Context, read: Callable[[], Settings]) -> str | None:
    try:
        return _fingerprint(ctx, read())
    except SettingsError:
        return None


def _fingerprint(ctx: Context, settings: Settings) -> str:
    own = _OF_ONE_PROCESS - ({"public_url"} & settings.model_fields_set)
    values = {name: value for name, value in settings if name not in own}
    return ctx.ledger.keyed_hash(json.dumps(values, default=_plain, sort_keys=True))


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return dict(value) if isinstance(value, BaseModel | Mapping) else str(value)


async def _note(ctx: Context, detail: Mapping[str, Any]) -> None:
    with suppress(LedgerUnavailable):
        await ctx.ledger.diagnostics.add("", _SERVER, detail, ctx.clock.now(), 1)
