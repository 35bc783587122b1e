"""Keep the answers of `init`: each at once in `.env`, and a connection's names in `connector.toml`."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import set_key

from connector.cli.startup import directories, load_here
from connector.errors import SettingsError
from connector.settings.files import CONFIG_FILE, DOTENV
from connector.settings.model import CONNECTION_NAME, DEFAULT_CONNECTION, Connection
from connector.settings.sources import Loaded
from connector.settings.types import is_set

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+")


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers for one connection. They go into the files that are read here, or else to `folder`."""

    connection: str
    folder: Path

    @classmethod
    def of(cls, connection: str, *, here: bool) -> Answers:
        """Return the answers for a connection, kept in the user's folder or `here`. Raises SettingsError."""
        if not re.fullmatch(CONNECTION_NAME, connection):
            raise SettingsError(
                "--connection: must be a name of 1 to 40 letters a-z, digits and hyphens, as onboarding"
            )
        return cls(connection, directories()[0 if here else 1])

    def variable(self, setting: str) -> str:
        """Return the variable for a setting of the connection; `PUBLIC_URL` is one for all."""
        if self.connection == DEFAULT_CONNECTION or setting.lower() not in Connection.model_fields:
            return setting
        return f"{setting}_{self.connection.upper().replace('-', '_')}"

    def is_set(self, setting: str) -> bool:
        """Tell whether a setting has a value."""
        settings = load_here(quiet=True).settings
        name = setting.lower()
        model = settings if name in type(settings).model_fields else settings.connections[self.connection]
        return name in model.model_fields_set

    def in_environment(self, setting: str) -> bool:
        """Tell whether the environment sets a setting; it wins over the files."""
        return is_set(os.environ.get(self.variable(setting), ""))

    def loaded(self, more: Mapping[str, str] | None = None) -> Loaded:
        """Return the settings, as if `more` (by setting) were kept. Raises SettingsError."""
        return load_here({self.variable(name): value for name, value in (more or {}).items()}, quiet=True)

    def keep(self, values: Mapping[str, str]) -> Path:
        """Write values by setting into `.env`, and return its path. Raises SettingsError."""
        path = self.loaded().dotenv or self.folder / DOTENV
        write(path, {self.variable(name): value for name, value in values.items()})
        return path

    def add_connection(self, settings: tuple[str, ...]) -> Path | None:
        """Let `[connections.NAME]` take the settings that it does not set from variables.

        Return the file's path; None for the default connection, or when nothing is missing.
        """
        loaded = self.loaded()
        present = loaded.settings.connections.get(self.connection)
        names = [name for name in settings if present is None or name.lower() not in present.model_fields_set]
        path = loaded.document or self.folder / CONFIG_FILE
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [
            f'{name.lower()} = "env:{self.variable(name)}"'
            for name in names
            if f'"env:{self.variable(name)}"' not in text
        ]
        if self.connection == DEFAULT_CONNECTION or not lines:
            return None
        header = f"[connections.{self.connection}]"
        if header not in text.splitlines():
            text = f"{text.rstrip()}\n\n{header}\n".lstrip()
        text = text.replace(f"{header}\n", "\n".join([header, *lines, ""]), 1)
        _replace(path, text)
        return path


def write(path: Path, values: Mapping[str, str]) -> None:
    """Write values into an `.env` file, all or none, readable by its owner alone. Raises SettingsError.

    A value replaces its old line, or is appended; other lines do not change. Only a value that needs quotes
    gets quotes, because some programs that read `.env` files do not support quotes.
    """
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    _replace(path, text, values)


def _replace(path: Path, text: str, values: Mapping[str, str] | None = None) -> None:
    """Replace a file as a whole by a text with these variables set."""
    target = path.resolve()  # keep a symbolic link
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".env-", dir=target.parent) as folder:
            copy = Path(folder, target.name)
            copy.touch(mode=0o600)
            copy.write_text(text, encoding="utf-8")
            for name, value in (values or {}).items():
                set_key(copy, name, value, quote_mode="never" if _PLAIN.fullmatch(value) else "always")
            copy.replace(target)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from None
