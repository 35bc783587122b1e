"""What one answer of Amplitude means for one interview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.amplitude.responses import Answer
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import Outgoing, Settlement


def attempt_of(answer: Answer, sent_at: int, events: int) -> dict[str, Any]:
    """Return what a receipt says of a request with so many events; a short count is marked."""
    attempt: dict[str, Any] = {"at": sent_at, "outcome": str(answer.kind), "status": answer.status}
    if answer.message:
        attempt["words"] = answer.message
    if answer.events_ingested is not None and answer.events_ingested < events:
        attempt["words"] = f"Amplitude took {answer.events_ingested} of the {events} events of this request."
    return attempt


def accepted(one: Outgoing, attempt: Mapping[str, Any], now: int) -> Settlement:
    """Settle what Amplitude took."""
    with_identify = {**attempt, "identify": one.identify}
    return settlement(one, SyncStatus.SYNCED, None, with_identify, synced_at=now)


def settlement(
    one: Outgoing,
    status: SyncStatus,
    reason: str | None,
    attempt: Mapping[str, Any] | None = None,
    *,
    due: int | None = None,
    unknown_at: int | None = None,
    synced_at: int | None = None,
    tried: bool = True,
) -> Settlement:
    """Settle an interview; a pending one goes again at `due` (ms), others have ended.

    `unknown_at` is when a send of unknown outcome began.
    """
    sync = one.sync
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


def pending(
    one: Outgoing, attempt: Mapping[str, Any], due: int, reason: str, unknown_at: int | None = None
) -> Settlement:
    """Settle what is due again at `due` (ms)."""
    return settlement(one, SyncStatus.PENDING, reason, attempt, due=due, unknown_at=unknown_at)


def back(one: Outgoing, due: int) -> Settlement:
    """Settle what was taken and not sent: it is due at `due` (ms) as it was."""
    return settlement(one, SyncStatus.PENDING, one.sync.reason, due=due, tried=False)
