"""Who is calling."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping

from connector.errors import Unauthenticated


def token_digest(token: str) -> bytes:
    """Return the SHA-256 by which a token is known to `authenticate`."""
    return hashlib.sha256(token.encode()).digest()


def authenticate(headers: Mapping[str, str], tokens: Mapping[str, bytes]) -> str:
    """Return the id of the credential that the headers carry.

    `headers` are looked up in lower case; `tokens` maps credential ids to `token_digest` of the token. The
    token is a Bearer token, an X-API-Key, or the password of Basic authentication. Digests of equal length
    are compared in constant time, and all of them, so that the time taken tells nothing. Raises
    `Unauthenticated`.
    """
    found: str | None = None
    presented = [token_digest(token) for token in _presented(headers)]
    for credential, expected in tokens.items():
        for candidate in presented:
            if hmac.compare_digest(candidate, expected):
                found = credential
    if found is not None:
        return found
    if presented:
        raise Unauthenticated("The token is not valid. Send the value of CONNECTOR_API_TOKEN.")
    raise Unauthenticated(
        "A token is needed: send `Authorization: Bearer TOKEN`, `X-API-Key: TOKEN`, or TOKEN as the "
        "password of Basic authentication."
    )


def _presented(headers: Mapping[str, str]) -> Iterator[str]:
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    value = value.strip()
    if value and scheme.lower() == "bearer":
        yield value
    elif value and scheme.lower() == "basic":
        yield from _basic_password(value)
    if api_key := headers.get("x-api-key", "").strip():
        yield api_key


def _basic_password(value: str) -> Iterator[str]:
    try:
        _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    if password:
        yield password
