"""Seal the secrets in the ledger: session tokens, hook secrets, the keys of plans and of tombstones."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from connector.errors import NotConfigured

KEY_BYTES = 32

_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_MAKE_ONE = "(make one with: openssl rand -base64 32)"


def parse_key(text: str) -> bytes:
    """Decode one key: 32 bytes in base64, standard or URL-safe, with or without padding.

    Raises `ValueError`, whose message does not repeat the key.
    """
    letters = text.strip().translate(_STANDARD_ALPHABET).rstrip("=")
    try:
        key = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError:  # binascii.Error is one
        raise ValueError(f"must be 32 bytes in base64 {_MAKE_ONE}") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"must be 32 bytes in base64, has {len(key)} {_MAKE_ONE}")
    return key


class Sealer:
    """Seals with the first key and opens with any; there is at least one key, each of 32 raw bytes.

    `reread` returns the present keys, of which the first seals. Earlier keys still open, because a value may
    have been read just before it was sealed anew. The format is Fernet (AES-128-CBC with HMAC-SHA256), which
    detects a changed byte. Raises `ValueError` without a key, or for a key of another length.
    """

    def __init__(self, keys: Sequence[bytes], reread: Callable[[], Sequence[bytes]] | None = None) -> None:
        self._reread = reread
        self._know(keys)

    def seal(self, plain: bytes) -> bytes:
        """Encrypt, differently each time; the answer is URL-safe ASCII.

        Call it inside the transaction that stores the answer: the keys change under the lock of one.
        """
        self._refresh()
        return self._all.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt bytes that one of the keys sealed.

        Raises `NotConfigured` when no key opens them, also because they were changed.
        """
        with suppress(InvalidToken):
            return self._all.decrypt(sealed)
        self._refresh()
        try:
            return self._all.decrypt(sealed)
        except InvalidToken:
            raise NotConfigured(
                "CONNECTOR_ENCRYPTION_KEY: none of the keys opens what is stored. Add the key that was used "
                "before, after the present one and a comma, or put the file encryption-key back, and restart."
            ) from None

    def is_first(self, sealed: bytes) -> bool:
        """Tell whether the first key sealed these bytes."""
        self._refresh()
        with suppress(InvalidToken):
            self._first.decrypt(sealed)
            return True
        return False

    def _know(self, keys: Sequence[bytes]) -> None:
        self._all = MultiFernet([_fernet(key) for key in keys])
        self._first = _fernet(keys[0])
        self._keys = tuple(keys)

    def _refresh(self) -> None:
        """Read the keys again; keep those in memory when they cannot be read."""
        if self._reread is None:
            return
        with suppress(OSError, ValueError):
            present = tuple(self._reread())
            if present != self._keys[: len(present)]:
                self._know(tuple(dict.fromkeys((*present, *self._keys))))


def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))
