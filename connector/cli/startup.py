"""Set up one run of the program: settings, log, signals, and the context of a short command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
from pydantic import BaseModel, SecretStr

from connector import log
from connector.cli.terminal import say
from connector.errors import SettingsError
from connector.settings.files import find_document, find_dotenv, user_folder
from connector.settings.key_files import others_may_read
from connector.settings.model import Settings
from connector.settings.sources import Loaded, load

if TYPE_CHECKING:
    from connector.context import Context

T = TypeVar("T")
_log = structlog.get_logger(__name__)


def read_settings(overrides: Mapping[str, str] | None = None, *, quiet: bool = False) -> Settings:
    """Return the settings, and write or log their warnings. Otherwise like `load_here`."""
    loaded = load_here(overrides, quiet=quiet)
    for warning in loaded.warnings if quiet else (*loaded.warnings, *exposed(loaded)):
        if quiet or sys.stderr.isatty():
            say(f"warning: {warning}")
        else:  # a server's log, one JSON object a line
            _log.warning("settings", message=warning)
    return loaded.settings


def load_here(overrides: Mapping[str, str] | None = None, *, quiet: bool = False) -> Loaded:
    """Load the settings as they are found here, and configure the log to their level and secrets.

    `overrides` win over the environment. `quiet` omits informative log lines, because they would disturb a
    bar or a table. Raises `SettingsError`.
    """
    loaded = load({**os.environ, **(overrides or {})}, *directories())
    level = loaded.settings.connector_log_level
    secrets = secrets_of(loaded.settings)
    log.configure("warning" if quiet and level == "info" else level, secrets=secrets)
    return loaded


def exposed(loaded: Loaded) -> list[str]:
    """Return a warning about `.env`, and about a `connector.toml` with a secret, that others may read."""
    written = loaded.document.read_bytes() if loaded.document else b""
    is_secret = any(secret.encode() in written for secret in secrets_of(loaded.settings))
    return [
        f"Others on this machine can read {file}: chmod 600 {file}"
        for file in (loaded.dotenv, loaded.document if is_secret else None)
        if file and others_may_read(file)
    ]


def reread() -> Settings:
    """Return the settings as they are written now. Raises `SettingsError`."""
    return load(os.environ, *directories()).settings


def directories() -> tuple[Path, Path]:
    """Return the folders in which the files of settings are looked for, in this order."""
    return Path.cwd(), user_folder()


def settings_files() -> str:
    """Name the files of settings that count here, for an error about a setting."""
    here = directories()
    found = [path for path in (find_dotenv(here), find_document(None, here)) if path]
    if found:
        return f"settings files: {', '.join(map(str, found))}"
    return f"no settings file in {' or '.join(map(str, here))}"


def connection_names() -> list[str]:
    """Return the connections' names for a shell to complete; none if the settings are not readable."""
    try:
        return list(reread().connections)
    except SettingsError:
        return []


def on_signals(act: Callable[[], object], *numbers: signal.Signals) -> None:
    """Call `act` in the running loop at these signals, by default SIGINT and SIGTERM; not on Windows."""
    for number in numbers or (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, act)


def run_in_context(settings: Settings, work: Callable[[Context], Awaitable[T]]) -> T:
    """Open the ledger and the clients without workers, and return what `work` returns."""
    from connector.app import build

    async def run() -> T:
        async with build(settings, workers=False) as running:
            return await work(running.context)

    return asyncio.run(run())


def secrets_of(value: object) -> Iterator[str]:
    """Yield every secret in a value, at any depth."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    if isinstance(value, BaseModel):
        value = dict(value)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for inner in value:
            yield from secrets_of(inner)
