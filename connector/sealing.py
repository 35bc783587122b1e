"""Seal what must not lie open in the store: session tokens, hook secrets, the plan and tombstone keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

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

    The format is Fernet (AES-128-CBC with HMAC-SHA256), so a changed byte is noticed. Raises ValueError for
    no key or one of another length.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])

    def seal(self, plain: bytes) -> bytes:
        """Encrypt, differently each time; the answer is URL-safe ASCII."""
        return self._keys.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what any of the keys sealed.

        Raises NotConfigured when none of them did, or when the bytes were changed.
        """
        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            raise NotConfigured(
                "CONNECTOR_ENCRYPTION_KEY: none of the keys opens what is stored. Add the key that was used "
                "before, after the present one and a comma, or put the file encryption-key back, and restart."
            ) from None
