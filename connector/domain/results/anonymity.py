"""Remove what could tell who the respondent of an anonymous interview is."""

from __future__ import annotations

from connector.domain.results.decision import ANONYMOUS, SUPPRESSED
from connector.domain.results.interview import Interview
from connector.domain.results.sync import Sync

DAY = 86_400_000
_SAFE_IN_ATTEMPTS = ("at", "outcome", "status", "identify")


def is_anonymous_or_erased(reason: str | None, facts: Interview | None) -> bool:
    """Tell whether an interview is anonymous or its respondent was forgotten, by its mark or its skip."""
    if reason in (ANONYMOUS, SUPPRESSED):
        return True
    return facts is not None and (facts.anonymous or facts.suppressed)


def day_of(at: int) -> int:
    """Return when the day of a time began (ms, UTC)."""
    return at - at % DAY


def to_the_day(at: int | None) -> int | None:
    """Return the same of a time that may not be known."""
    return None if at is None else day_of(at)


def without_person(sync: Sync) -> Sync:
    """Remove what could tell who the respondent is, Amplitude's message among it.

    Times stay to the day: a finer one, laid beside the time of an invitation, could tell.
    """
    facts = sync.facts
    return sync._replace(
        first_received_at=day_of(sync.first_received_at),
        updated_at=day_of(sync.updated_at),
        completed_at=to_the_day(sync.completed_at),
        synced_at=to_the_day(sync.synced_at),
        frozen_at=to_the_day(sync.frozen_at),
        unknown_since=to_the_day(sync.unknown_since),
        facts=None
        if facts is None
        else facts.without_respondent()._replace(
            completed_at=to_the_day(facts.completed_at), occurred_at=to_the_day(facts.occurred_at)
        ),
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
