"""Turn Amplitude's answers into settlements of interviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.amplitude.responses import Answer
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import EVENTS_MISSING, Outgoing, Settlement, settlement

_SHORT_WAIT = 5_000  # ms


def attempt_of(answer: Answer, sent_at: int, events: int) -> dict[str, Any]:
    """Return a receipt's entry for a request of `events` events; the entry notes a shortfall."""
    attempt: dict[str, Any] = {"at": sent_at, "outcome": str(answer.kind), "status": answer.status}
    if answer.message:
        attempt["words"] = answer.message
    if answer.events_ingested is not None and answer.events_ingested < events:
        words = f"Amplitude took {answer.events_ingested} of the {events} events of this request."
        attempt |= {"words": words, "short": True}
    return attempt


def accepted(outgoing: Outgoing, attempt: Mapping[str, Any], sent_at: int, now: int) -> Settlement:
    """Settle an accepted interview; after the first answer with a shortfall it is sent once more in 5 s.

    The insert ids stay the same, so that Amplitude counts no event twice.
    """
    attempt = {**attempt, "identify": outgoing.identify}
    if outgoing.sync.is_refresh:
        attempt.setdefault("words", "Only the user properties were written again.")
    if "short" not in attempt:
        return settlement(outgoing.sync, SyncStatus.SYNCED, None, attempt, synced_at=now)
    if any("short" in earlier for earlier in outgoing.sync.attempts[-1:]):
        return settlement(outgoing.sync, SyncStatus.SYNCED, EVENTS_MISSING, attempt, synced_at=now)
    due = now + _SHORT_WAIT
    return settlement(outgoing.sync, SyncStatus.PENDING, EVENTS_MISSING, attempt, due=due, unknown_at=sent_at)


def put_back(outgoing: Outgoing, due: int) -> Settlement:
    """Settle an interview that was taken but not sent; only the due time changes, to `due` (ms)."""
    return settlement(outgoing.sync, SyncStatus.PENDING, outgoing.sync.reason, due=due, tried=False)
