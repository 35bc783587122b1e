"""The token in an opt-out link: it never expires, and works without any record of the invitation."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import NamedTuple

_ID, _PERSON, _MAC = 16, 8, 12  # bytes
_PREFIX = "inv_"


class OptOut(NamedTuple):
    """The invitation that a link came with, and its person in the register of asking."""

    invitation_id: str
    person: int


def opt_out_token(key: bytes, invitation_id: str, person: int) -> str:
    """Return the token for an invitation (`inv_` and 32 hexadecimal digits), signed with a key."""
    named = bytes.fromhex(invitation_id.removeprefix(_PREFIX)) + person.to_bytes(_PERSON, "big", signed=True)
    return base64.urlsafe_b64encode(named + _signature(key, named)).decode()


def read_opt_out_token(key: bytes, token: str) -> OptOut | None:
    """Return what a token names, or None for one that was not signed with the key."""
    try:
        whole = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    named, signature = whole[: _ID + _PERSON], whole[_ID + _PERSON :]
    if not hmac.compare_digest(signature, _signature(key, named)):
        return None
    return OptOut(_PREFIX + named[:_ID].hex(), int.from_bytes(named[_ID:], "big", signed=True))


def _signature(key: bytes, named: bytes) -> bytes:
    return hmac.digest(key, b"opt-out " + named, "sha256")[:_MAC]
