"""Remove what could identify the respondent of an anonymous interview."""

from __future__ import annotations

from connector.domain.results.decision import ANONYMOUS, SUPPRESSED
from connector.domain.results.interview import Interview
from connector.domain.results.sync import Sync

_SAFE_IN_ATTEMPTS = ("at", "outcome", "status", "identify")


def is_anonymous_or_erased(reason: str | None, facts: Interview | None) -> bool:
    """Tell whether an interview is anonymous or its respondent was erased, by its mark or its skip."""
    return reason in (ANONYMOUS, SUPPRESSED) or (facts is not None and (facts.anonymous or facts.suppressed))


def day_of(at: int) -> int:
    """Return when the day of a time began (ms, UTC)."""
    return at - at % 86_400_000


def to_the_day(at: int | None) -> int | None:
    """Return when the day of a time began (ms, UTC), or None if the time is not known."""
    return None if at is None else day_of(at)


def without_person(sync: Sync) -> Sync:
    """Remove what could identify the respondent, such as Amplitude's message.

    Times stay to the day: a finer time, compared with that of an invitation, could identify them.
    """
    facts = sync.facts
    if facts is not None:
        completed_at, occurred_at = to_the_day(facts.completed_at), to_the_day(facts.occurred_at)
        facts = facts.without_respondent()._replace(completed_at=completed_at, occurred_at=occurred_at)
    return sync._replace(
        first_received_at=day_of(sync.first_received_at),
        updated_at=day_of(sync.updated_at),
        completed_at=to_the_day(sync.completed_at),
        synced_at=to_the_day(sync.synced_at),
        frozen_at=to_the_day(sync.frozen_at),
        unknown_since=to_the_day(sync.unknown_since),
        facts=facts,
        user_id=None,
        user_hash=None,
        identify=None,
        event=None,
        respondent=None,
        external=None,
        attempts=tuple(
            {
                key: to_the_day(attempt[key]) if key == "at" else attempt[key]
                for key in _SAFE_IN_ATTEMPTS
                if key in attempt
            }
            for attempt in sync.attempts
        ),
    )
