"""Notice while a server runs that its settings are no longer those of its start."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from connector.cli.startup import reread
from connector.context import Context
from connector.errors import SettingsError
from connector.service.checks.running import CHANGED, fingerprint, note

_log = structlog.get_logger(__name__)
_LOOK_EVERY: Final = 5.0  # seconds


async def watch(ctx: Context) -> None:
    """Note in the ledger, until cancelled, whether the settings still are those of the start."""
    started, is_changed = fingerprint(ctx, ctx.settings), False
    try:
        while True:
            was_changed, is_changed = is_changed, _reread(ctx) != started
            if is_changed and not was_changed:
                _log.warning("settings_changed", message=CHANGED)
            await note(ctx, {"started": started, "changed": is_changed})
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        await note(ctx, {})


def _reread(ctx: Context) -> str | None:
    """Return the fingerprint of the settings as they are written now; None if they are malformed."""
    try:
        return fingerprint(ctx, reread())
    except SettingsError:
        return None
