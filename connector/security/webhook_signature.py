"""Check the signature of a webhook over its raw bytes.

Koji publishes neither the header nor the scheme of its HMAC-SHA256, so a signature is recognised by the shape
of a header's value. Nothing here raises, and the caps below bound the work for any request.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64, hexlify
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest, digest
from typing import Final, NamedTuple

Headers = Sequence[tuple[bytes, bytes]]

_SHORTEST_VALUE: Final = 43  # base64 of 32 bytes without its padding
_LONGEST_VALUE: Final = 2048
_MOST_VALUES: Final = 8
_MOST_MACS: Final = 8
_LONGEST_NAME: Final = 100

_HEX: Final = re.compile(rb"(?:sha256=)?([0-9a-f]{64})", re.IGNORECASE)
_BASE64: Final = re.compile(rb"([A-Za-z0-9+/]{43})=?")
_STANDARD: Final = re.compile(rb"v1,([A-Za-z0-9+/]{43})=?")
_UNIX: Final = re.compile(rb"[0-9]{1,11}")  # milliseconds have 13 digits and are refused


@dataclass(frozen=True, slots=True)
class Verified:
    """A valid signature: the header and scheme that carried it, the key that made it, and what it covers.

    These are the time in seconds and the id of the message, as far as the scheme covers them.
    """

    header: str
    scheme: str
    key: bytes
    timestamp: int | None
    message_id: bytes | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One header value that was tried, and why it failed; never the value."""

    header: str
    scheme: str
    why: str


@dataclass(frozen=True, slots=True)
class SignatureRefused:
    """No valid signature; `stale` when a signature matched and only its time was out of tolerance."""

    attempts: tuple[Attempt, ...]
    stale: bool


class _Claim(NamedTuple):
    """The claim of a header value: one of `macs`, as `encode` writes it, is the HMAC of `before` + body."""

    macs: Sequence[bytes]
    encode: Callable[[bytes], bytes]
    signed: str
    before: bytes = b""
    timestamp: int | None = None
    message_id: bytes | None = None


def signing_keys(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return the keys of the secrets, without repeats.

    Each secret counts as its literal bytes. After the prefix `whsec_`, the rest decoded from base64 is a
    second key (Standard Webhooks: secrets are base64 with that prefix).
    """
    keys: list[bytes] = []
    for secret in secrets:
        keys.append(secret.encode("utf-8", "surrogateescape"))
        if secret.startswith("whsec_"):
            keys.append(_decoded(secret.removeprefix("whsec_")))
    return tuple(filter(None, dict.fromkeys(keys)))  # an empty key proves nothing


def verify(
    body: bytes,
    headers: Headers,
    *,
    keys: Sequence[bytes],
    scheme: str,
    header: str | None,
    tolerance_seconds: int,
    now: float,
) -> Verified | SignatureRefused:
    """Find a header value that was made with one of `keys`.

    `header` pins the only header to look at (every occurrence), `scheme` the only scheme; `auto` tries all.
    `now` and the tolerance are seconds; a signed time further away than that, in either direction, is refused
    although its MAC is right, and 0 turns that check off.
    """
    pinned = None if header is None else header.lower().encode("utf-8", "replace")
    digests: dict[tuple[bytes, bytes], bytes] = {}
    attempts: list[Attempt] = []
    stale = False
    for name, found_scheme, claim in _claims(headers, pinned, scheme):
        key = None
        if isinstance(claim, str):
            why = claim
        elif (key := _signer(claim, keys, body, digests)) is None:
            why = f"HMAC-SHA256 over {claim.signed} matches none of {len(keys)} keys"
        elif (late := _lateness(claim.timestamp, tolerance_seconds, now)) is None:
            return Verified(_text(name), found_scheme, key, claim.timestamp, claim.message_id)
        else:
            why, stale = late, True
        attempts.append(Attempt(_text(name), found_scheme, why))
    return SignatureRefused(tuple(attempts), stale)


def _claims(headers: Headers, pinned: bytes | None, scheme: str) -> Iterator[tuple[bytes, str, _Claim | str]]:
    """Yield header name, scheme, and the claim, or the reason why it cannot be checked."""
    left = _MOST_VALUES
    for raw_name, value in headers:
        size = len(value)
        if pinned is None:
            if size < _SHORTEST_VALUE or size > _LONGEST_VALUE:
                continue
        elif raw_name.lower() != pinned:
            continue
        read = _read(value.strip(), headers, scheme) if size <= _LONGEST_VALUE else None
        if read is None:
            if pinned is None:
                continue
            read = (scheme, f"{size} bytes that have not the shape of a signature of this scheme")
        if not left:
            yield raw_name, read[0], f"not tried: more than {_MOST_VALUES} values look like signatures"
            return
        left -= 1
        yield raw_name, *read
    if pinned is not None and left == _MOST_VALUES:
        yield pinned, scheme, "this header was not sent"


def _read(value: bytes, headers: Headers, scheme: str) -> tuple[str, _Claim | str] | None:
    for name, reader in _READERS.items():
        if scheme in ("auto", name) and (claim := reader(value, headers)) is not None:
            return name, claim
    return None


def _read_hex(value: bytes, _headers: Headers) -> _Claim | None:
    match = _HEX.fullmatch(value)
    return match and _Claim((match[1].lower(),), hexlify, "the body")


def _read_base64(value: bytes, _headers: Headers) -> _Claim | None:
    match = _BASE64.fullmatch(value)
    return match and _Claim((match[1],), _unpadded_base64, "the body")


def _read_timestamped(value: bytes, _headers: Headers) -> _Claim | str | None:
    if b"v1=" not in value:
        return None
    pairs = [part.strip().partition(b"=") for part in value.split(b",")]
    times = [text for name, _, text in pairs if name == b"t"]
    macs = [text.lower() for name, _, text in pairs if name == b"v1"][:_MOST_MACS]
    if not times or not macs:
        return None
    if not _UNIX.fullmatch(times[0]):
        return "t is not a Unix time in whole seconds"
    return _Claim(macs, hexlify, "t.body", times[0] + b".", int(times[0]))


def _read_standard_webhooks(value: bytes, headers: Headers) -> _Claim | str | None:
    if b"v1," not in value:
        return None
    macs = [match[1] for part in value.split() if (match := _STANDARD.fullmatch(part))][:_MOST_MACS]
    if not macs:
        return None
    for family in (b"webhook", b"svix"):
        message_id = _first(headers, family + b"-id")
        time = _first(headers, family + b"-timestamp")
        if message_id and time:
            if not _UNIX.fullmatch(time):
                return f"{_text(family)}-timestamp is not a Unix time in whole seconds"
            before = b"%b.%b." % (message_id, time)
            return _Claim(macs, _unpadded_base64, "id.timestamp.body", before, int(time), message_id)
    return "webhook-id and webhook-timestamp were not both sent"


_READERS: Final[Mapping[str, Callable[[bytes, Headers], _Claim | str | None]]] = {
    "hex": _read_hex,
    "base64": _read_base64,
    "timestamped": _read_timestamped,
    "standard-webhooks": _read_standard_webhooks,
}

SCHEMES: Final = ("auto", *_READERS)


def _signer(
    claim: _Claim, keys: Sequence[bytes], body: bytes, digests: dict[tuple[bytes, bytes], bytes]
) -> bytes | None:
    """Return the key that made one of the claim's MACs. `digests` keeps the digests computed so far."""
    signer = None
    for key in keys:
        computed = digests.get((key, claim.before))
        if computed is None:
            computed = digests[key, claim.before] = digest(key, claim.before + body, "sha256")
        expected = claim.encode(computed)
        for mac in claim.macs:
            if compare_digest(expected, mac) and key and signer is None:
                signer = key
    return signer


def _lateness(timestamp: int | None, tolerance: int, now: float) -> str | None:
    if timestamp is None or not tolerance or abs(now - timestamp) <= tolerance:
        return None
    side = "old" if now > timestamp else "in the future"
    return f"timestamp {abs(now - timestamp):.0f} s {side}, tolerance {tolerance}"


def _first(headers: Headers, name: bytes) -> bytes | None:
    return next((value.strip() for key, value in headers if key.lower() == name), None)


def _unpadded_base64(raw: bytes) -> bytes:
    return b2a_base64(raw, newline=False).rstrip(b"=")


def _decoded(text: str) -> bytes:
    text = text.rstrip("=")
    try:
        return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:  # binascii.Error is one
        return b""


def _text(name: bytes) -> str:
    return name[:_LONGEST_NAME].decode("latin-1").lower()
