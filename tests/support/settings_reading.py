"""Load settings from texts, for the tests of settings."""

from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr

from connector.errors import SettingsError
from connector.settings.model import Connection
from connector.settings.sources import Loaded, load

# Two encryption keys, in the standard and in the URL-safe alphabet.
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER_KEY = "__________________________________________8"


class Read(Protocol):
    """`connector.toml` and `.env` as texts, the environment by keyword."""

    def __call__(self, toml: str | None = None, dotenv: str | None = None, **environ: str) -> Loaded: ...


def reading(directory: Path) -> Read:
    def read(toml: str | None = None, dotenv: str | None = None, **environ: str) -> Loaded:
        for name, text in (("connector.toml", toml), (".env", dotenv)):
            if text is not None:
                (directory / name).write_text(text, encoding="utf-8")
        return load(environ, directory)

    return read


def refused(read: Read, toml: str | None = None, dotenv: str | None = None, **environ: str) -> str:
    """Return the one line that stops the program; the error behind it must not be printed with it."""
    with pytest.raises(SettingsError) as caught:
        read(toml, dotenv, **environ)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return line


def default(loaded: Loaded) -> Connection:
    return loaded.settings.connections["default"]


def secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
