"""Settings and log of one run of the program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, SecretStr

from connector import log
from connector.cli.terminal import say
from connector.errors import SettingsError
from connector.settings.model import Settings
from connector.settings.sources import load


def read_settings(overrides: Mapping[str, str] | None = None, *, quiet: bool = False) -> Settings:
    """Return the settings and begin to log as they say; their warnings go to standard error.

    `overrides` win over the environment. `quiet` keeps what is merely informative out of the way of a bar or
    a table. Raises `SettingsError`.
    """
    loaded = load({**os.environ, **(overrides or {})}, Path.cwd())
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    begin_log(loaded.settings, quiet=quiet)
    return loaded.settings


def connection_names() -> list[str]:
    """Return the names of the connections, none when the settings cannot be read: a shell completes them."""
    try:
        return list(load(os.environ, Path.cwd()).settings.connections)
    except SettingsError:
        return []


def begin_log(settings: Settings, *, quiet: bool = False) -> None:
    """Log as the settings say, and none of their secrets."""
    level = settings.connector_log_level
    log.configure("warning" if quiet and level == "info" else level, secrets=secrets_of(settings))


def secrets_of(value: object) -> Iterator[str]:
    """Yield every secret in a value, at any depth."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from secrets_of(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets_of(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from secrets_of(inner)
