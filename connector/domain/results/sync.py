"""Syncs: the way of each interview to Amplitude, the webhooks about it, and runs. Times are in ms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from connector.domain.results.interview import Interview, Stage, SyncStatus

EVENTS_MISSING: Final = "events_missing"
"""The reason of syncs in a request of which Amplitude took fewer events than were sent."""


class InboundWebhook(NamedTuple):
    """A message about an interview that came in. `source` is webhook, call, backfill or read."""

    connection: str
    received_at: int
    source: str
    state: str
    event: str | None = None
    interview_id: str | None = None
    webhook_id: str | None = None
    digest: str | None = None
    body: str | None = None
    header: str | None = None
    scheme: str | None = None
    signed_at: int | None = None
    id: int = 0


class Sync(NamedTuple):
    """One interview's way to Amplitude: a row of the ledger and the source of its receipt.

    `identify` and `event` are JSON text. From `frozen_at`, the first send, user id, insert ids and event stay
    as they are. `unknown_since` is the first attempt of unknown outcome. `from_call` says that the values
    came with a call, so that Koji is not read. `respondent` is the key of the respondent's e-mail, else of
    the external id; `external` is that of an external id beside an e-mail.
    """

    connection: str
    interview_id: str
    status: SyncStatus
    first_received_at: int
    updated_at: int
    reason: str | None = None
    stage: Stage | None = None
    due: int | None = None
    completed_at: int | None = None
    synced_at: int | None = None
    facts: Interview | None = None
    user_id: str | None = None
    user_hash: str | None = None
    identify: str | None = None
    event: str | None = None
    from_call: bool = False
    reads: int = 0
    tries: int = 0
    frozen_at: int | None = None
    sending_since: int | None = None
    unknown_since: int | None = None
    attempts: tuple[Mapping[str, Any], ...] = ()
    run_id: str | None = None
    backfill: bool = False
    force: bool = False
    pruned_at: int | None = None
    respondent: int | None = None
    external: int | None = None

    @property
    def is_refresh(self) -> bool:
        """Tell whether only user properties are to be written: Amplitude has the event, and keeps it."""
        return self.status is SyncStatus.SYNCED and self.stage is Stage.SEND and not self.force


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A sync that is about to be sent; `identify` says whether its user properties go along."""

    sync: Sync
    identify: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The result of one attempt for one sync. A pending sync is due again at `due`."""

    connection: str
    interview_id: str
    status: SyncStatus
    reason: str | None
    due: int | None
    attempts: tuple[Mapping[str, Any], ...]
    unknown_since: int | None
    tries: int
    synced_at: int | None = None


def settlement(
    sync: Sync,
    status: SyncStatus,
    reason: str | None,
    attempt: Mapping[str, Any] | None = None,
    *,
    due: int | None = None,
    unknown_at: int | None = None,
    synced_at: int | None = None,
    tried: bool = True,
) -> Settlement:
    """Settle an interview; a pending interview is sent again at `due` (ms).

    `unknown_at` (ms) is the start of a send of unknown outcome.
    """
    return Settlement(
        connection=sync.connection,
        interview_id=sync.interview_id,
        status=status,
        reason=reason,
        due=due,
        attempts=sync.attempts if attempt is None else (*sync.attempts, attempt),
        unknown_since=sync.unknown_since or unknown_at,
        tries=sync.tries + tried,
        synced_at=synced_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """The syncs that a list shows; times bound the first receipt, `since` inclusive, `until` exclusive."""

    status: str | None = None
    reason: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The progress of a run: one call over many interviews.

    `skipped` and `failed` count interviews by reason; `unread` ones still wait for Koji, or for
    the worker that begins them.
    """

    run_id: str
    connection: str
    operation: str
    created_at: int
    total: int
    pending: int
    synced: int
    skipped: Mapping[str, int]
    failed: Mapping[str, int]
    unread: int
