"""Cut texts to Amplitude's limit, and make texts safe to show and to log."""

from __future__ import annotations

import re
from collections.abc import Iterable

AMPLITUDE_STRING_LIMIT = 1_024  # Amplitude cuts longer strings silently
_PART = re.compile(r"[^\s<>(),;:\[\]{}\"=&?/]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic|api-key)\s+\S+")
_SECRET_PARAMETERS = ("token", "api_key", "key", "secret", "census_authentication")


def _spelt(name: str) -> str:
    """Return a pattern for a name whose characters may each be percent-encoded, as in an address."""
    return "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter.upper()):02x})" for letter in name)


_TOKEN_PARAMETER = re.compile(
    rf"""(?i)((?:^|[?&;'"])(?:{"|".join(map(_spelt, _SECRET_PARAMETERS))})(?:\[\]|%5b%5d)?=)[^&\s]+"""
)


def cut(text: str, limit: int = AMPLITUDE_STRING_LIMIT) -> str:
    """Return text of at most `limit` characters; a text that is cut ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def safe(text: str, secrets: Iterable[str] = (), limit: int = 250) -> str:
    """Return text without addresses, credentials and `secrets`, of at most `limit` characters."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    text = _TOKEN_PARAMETER.sub(r"\1[secret]", _BEARER.sub(r"\1 [secret]", text))
    return cut(_PART.sub(_without_address, text), limit)


def _without_address(part: re.Match[str]) -> str:
    written = part[0].lower()
    return "[address]" if "@" in written or "%40" in written else part[0]
