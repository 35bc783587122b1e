"""Seal what must not lie open in the store: session tokens, hook secrets, the plan and tombstone keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from connector.errors import NotConfigured

KEY_BYTES = 32

_STANDARD_ALPHABET = str.maketrans("-_", "+/")


def parse_key(text: str) -> bytes:
    """Decode one key: 32 bytes in base64, standard or URL-safe, with or without padding.

    Raises ValueError, whose message does not repeat the key.
    """
    letters = text.strip().translate(_STANDARD_ALPHABET).rstrip("=")
    try:
        key = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be 32 bytes in base64 (make one with: openssl rand -base64 32)") from None
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"must be 32 bytes in base64, has {len(key)} (make one with: openssl rand -base64 32)"
        )
    return key


class Sealer:
    """Seal with the first key, open with any; keys are 32 raw bytes, at least one.

    `reread` returns the keys as they are now, of which the first seals; keys known before still open, because
    a value may have been read just before it was sealed anew. The format is Fernet (AES-128-CBC with
    HMAC-SHA256), so a changed byte is noticed. Raises ValueError for no key or one of another length.
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
        """Decrypt what any of the keys sealed.

        Raises NotConfigured when none of them did, or when the bytes were changed.
        """
        try:
            return self._all.decrypt(sealed)
        except InvalidToken:
            self._refresh()
        try:
            return self._all.decrypt(sealed)
        except InvalidToken:
            raise NotConfigured(
                "CONNECTOR_ENCRYPTION_KEY: none of the keys opens what is stored. Add the key that was used "
                "before, after the present one and a comma, or put the file encryption-key back, and restart."
            ) from None

    def is_first(self, sealed: bytes) -> bool:
        """Tell whether the first key sealed it."""
        self._refresh()
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def _know(self, keys: Sequence[bytes]) -> None:
        self._all = MultiFernet([_fernet(key) for key in keys])
        self._first = _fernet(keys[0])
        self._keys = tuple(keys)

    def _refresh(self) -> None:
        """Look again for the keys; those in memory do while there is nothing good to read."""
        if self._reread is None:
            return
        with suppress(OSError, ValueError):
            now = tuple(self._reread())
            if now != self._keys[: len(now)]:
                self._know(tuple(dict.fromkeys((*now, *self._keys))))


def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))
