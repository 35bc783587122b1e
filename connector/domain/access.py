"""Tokens, grants, the audit log, idempotency keys and diagnostics. Times are in ms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Token(NamedTuple):
    """A named token; the ledger holds only its SHA-256 in hex. `connections` None means all.

    `used_at` is the last use, to the hour.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]
    connections: tuple[str, ...] | None
    created_at: int
    revoked_at: int | None = None
    used_at: int | None = None


class ConsoleSession(NamedTuple):
    """A session of the console, or a link that begins one; digests are SHA-256 in hex."""

    sha256: str
    token_sha256: str
    expires_at: int
    is_link: bool = False


class OAuthClient(NamedTuple):
    """A program that asks for grants; `name` is its own word for itself, and nothing proves it."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    created_at: int


class Grant(NamedTuple):
    """What a person let an OAuth client do. It is live until `expires_at`, and ends with the person's token.

    `challenge` (PKCE, S256) and `redirect_uri` belong to its code. `used_at` is the last use, to the hour.
    """

    id: str
    client_id: str
    client_name: str
    token_name: str
    token_sha256: str
    scopes: tuple[str, ...]
    connections: tuple[str, ...]
    challenge: str
    redirect_uri: str
    created_at: int
    expires_at: int
    used_at: int | None = None

    @property
    def name(self) -> str:
        """Return its name in lists and in the audit log; no token's name has a slash."""
        return f"{self.token_name}/{self.id}"


class GrantSecret(NamedTuple):
    """A code, an access token or a refresh token of a grant: `sha256` in hex, `kind`, and its end."""

    sha256: str
    kind: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One operation that changed something: its caller, its subjects and its outcome.

    `touched` holds ids by the name of their field, never an address. Without an outcome the operation is
    running, or its process was killed. `id` is 0 until the entry is stored.
    """

    connection: str
    at: int
    token: str
    surface: str
    operation: str
    effect: str
    touched: Mapping[str, str]
    id: int = 0
    ended_at: int | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The entries that a list shows; `since` inclusive, `until` exclusive (ms), `before` an id, exclusive."""

    token: str | None = None
    surface: str | None = None
    operation: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The state of an idempotency key: new, stored, running or mismatch."""

    state: str
    token: str | None = None
    status: int | None = None
    body: str | None = None


CLOCK_JUMPED = "clock_jumped"
"""The kind of diagnostic that tells of a clock that jumped; its detail has `seconds`."""
CONFIRMED_TIME = "confirmed_time"
"""The kind of diagnostic that tells the last trusted time; its detail has `at` (ms)."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A diagnostic of a connection; no decision depends on it."""

    at: int
    detail: Mapping[str, Any]
