"""What must not stay of an interview that is nobody's."""

from __future__ import annotations

from connector.deciding import ANONYMOUS, SUPPRESSED
from connector.models import Interview
from connector.ports import Sync

_SAFE_IN_ATTEMPTS = ("at", "outcome", "status", "identify")


def is_nobodys(reason: str | None, facts: Interview | None) -> bool:
    """Tell whether an interview is anonymous or its respondent was forgotten, by its mark or its skip."""
    if reason in (ANONYMOUS, SUPPRESSED):
        return True
    return facts is not None and (facts.anonymous or facts.suppressed)


def without_person(sync: Sync) -> Sync:
    """Forget whatever could tell who the respondent is, Amplitude's words among it."""
    facts = sync.facts
    return sync._replace(
        facts=None if facts is None else facts.nobodys(),
        user_id=None,
        user_hash=None,
        identify=None,
        event=None,
        respondent=None,
        external=None,
        attempts=tuple(
            {key: attempt[key] for key in _SAFE_IN_ATTEMPTS if key in attempt} for attempt in sync.attempts
        ),
    )
