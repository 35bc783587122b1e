"""Make settlements: what an answer of Amplitude means for each interview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.amplitude.responses import Answer
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import Outgoing, Settlement


def attempt_of(answer: Answer, sent_at: int, events: int) -> dict[str, Any]:
    """Return the entry of a request in a receipt; `events` is how many it had, and a shortfall is noted."""
    attempt: dict[str, Any] = {"at": sent_at, "outcome": str(answer.kind), "status": answer.status}
    if answer.message:
        attempt["words"] = answer.message
    if answer.events_ingested is not None and answer.events_ingested < events:
        attempt["words"] = f"Amplitude took {answer.events_ingested} of the {events} events of this request."
    return attempt


def settlement(
    outgoing: Outgoing,
    status: SyncStatus,
    reason: str | None,
    attempt: Mapping[str, Any] | None = None,
    *,
    due: int | None = None,
    unknown_at: int | None = None,
    synced_at: int | None = None,
    tried: bool = True,
) -> Settlement:
    """Settle an interview; a pending one is sent again at `due` (ms), others have ended.

    `unknown_at` is when a send of unknown outcome began.
    """
    sync = outgoing.sync
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


def back(outgoing: Outgoing, due: int) -> Settlement:
    """Settle an interview that was taken and not sent: it is due at `due` (ms), otherwise unchanged."""
    return settlement(outgoing, SyncStatus.PENDING, outgoing.sync.reason, due=due, tried=False)
