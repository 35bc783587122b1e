"""Keep secrets that were made on this machine in files beside the SQLite database, for the owner only."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from connector.errors import SettingMissing, SettingsError
from connector.security.sealing import KEY_BYTES, Sealer, parse_key
from connector.settings.model import Settings

_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.02


def api_token(settings: Settings) -> tuple[SecretStr, bool]:
    """Return the token with every scope, and whether it was made just now (then it is worth printing).

    The setting wins; else the file beside the database, made at first use. Raises `SettingsError` when there
    is neither a setting nor a SQLite file, or when the file cannot be made or read.
    """
    if settings.connector_api_token is not None:
        return settings.connector_api_token, False
    setting = "CONNECTOR_API_TOKEN"
    path = _beside_database(settings, "api-token", setting)
    token, made_now = _read_or_create(path, lambda: secrets.token_urlsafe(32), setting)
    return SecretStr(token), made_now


def encryption_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the keys for `connector.security.sealing.Sealer`, 32 bytes each: the first seals, all open.

    The setting wins; else the file beside the database (base64, several separated by commas), made at first
    use. Raises `SettingsError` as `api_token`, and when the file does not hold keys.
    """
    if settings.connector_encryption_key:
        return tuple(parse_key(key.get_secret_value()) for key in settings.connector_encryption_key)
    file = key_file(settings)

    def make() -> str:
        return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()

    _read_or_create(file.path, make, "CONNECTOR_ENCRYPTION_KEY")
    return file.usable()


def open_sealer(settings: Settings) -> Sealer:
    """Return the sealer, which follows changes of a key file. Raises `SettingsError`."""
    keys = encryption_keys(settings)
    return Sealer(keys) if settings.connector_encryption_key else Sealer(keys, key_file(settings).read)


def key_file(settings: Settings) -> KeyFile:
    """Return the key file beside the database. Raises `SettingsError` without a SQLite file."""
    return KeyFile(_beside_database(settings, "encryption-key", "CONNECTOR_ENCRYPTION_KEY"))


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The file of encryption keys; it is replaced as a whole, and only under the database's write lock."""

    path: Path

    def read(self) -> tuple[bytes, ...]:
        """Return the keys. Raises `OSError` and `ValueError`."""
        return tuple(parse_key(key) for key in self.path.read_text(encoding="ascii").split(","))

    def begin_rotation(self) -> tuple[bytes, bool]:
        """Put a fresh key in front, unless there are several: then an earlier rotation must be finished.

        Return the first key and whether it is fresh. Raises `SettingsError`.
        """
        keys = self.usable()
        if len(keys) > 1:
            return keys[0], False
        fresh = secrets.token_bytes(KEY_BYTES)
        self._write((fresh, *keys))
        return fresh, True

    def end_rotation(self, first: bytes) -> bool:
        """Keep only the first key, and return True; return False when another rotation has begun."""
        keys = self.usable()
        if keys[0] != first:
            return False
        if len(keys) > 1:
            self._write((first,))
        return True

    def usable(self) -> tuple[bytes, ...]:
        """Return the keys. Raises `SettingsError` when the file cannot be read or does not hold keys."""
        try:
            return self.read()
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise SettingsError(f"{self.path}: each key in it {error}") from None

    def _write(self, keys: Sequence[bytes]) -> None:
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            beside.unlink(missing_ok=True)
            _create(beside, ",".join(base64.b64encode(key).decode() for key in keys))
            beside.replace(self.path)
            _sync_directory(self.path.parent)
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be replaced: {error.strerror}") from None


def _beside_database(settings: Settings, name: str, setting: str) -> Path:
    if settings.database_file is None:
        raise SettingMissing(f"{setting}: must be set, because DATABASE_URL is postgresql://")
    return settings.database_file.parent / name


def _read_or_create(path: Path, make: Callable[[], str], setting: str) -> tuple[str, bool]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made_now = _create(path, make())
        if others_may_read(path):
            raise SettingsError(f"{path}: others on this machine may read it: chmod 600 {path}")
        return _read_finished(path), made_now
    except OSError as error:
        raise SettingsError(
            f"DATABASE_URL: {path.name} cannot be kept beside the database in {path.parent}: "
            f"{error.strerror}; name a folder there that this user may write, or set {setting}"
        ) from None


def others_may_read(path: Path) -> bool:
    """Tell whether a file's mode lets others than its owner read or change it."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _create(path: Path, text: str) -> bool:
    """Write the file and return True; return False if it exists. Of two processes only one writes."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)
    _sync_directory(path.parent)
    return True


def _sync_directory(directory: Path) -> None:
    # A power cut must not lose the name of the key's file and keep data that is sealed with the key.
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_finished(path: Path) -> str:
    """Read the file; while it is empty, wait for the process that made it and is about to write it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (text := path.read_text(encoding="utf-8", errors="replace").strip()):
        if time.monotonic() > deadline:
            raise SettingsError(f"{path}: is empty, so it was never used; delete it and start again")
        time.sleep(_PAUSE_SECONDS)
    return text
