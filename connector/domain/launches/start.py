"""Make the request that starts an interview at Koji, and read the result from Koji's answer."""

from __future__ import annotations

from typing import Any

from connector.domain.launches.launch import Invitation, KojiStart, Launch, StartResult
from connector.domain.launches.respondent_link import StartRules, link_of

HOUR = 3_600_000  # ms
DAY = 24 * HOUR
SCHEDULE = (HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY)
"""When a silent interview is read, in ms since its start; after the last read it expires."""


def body_of(rules: StartRules, launch: Launch, invitation: Invitation) -> dict[str, Any]:
    """Return the body of a start (Koji REST: respondent, mode and locale, nothing else).

    Merge the caller's metadata with the connector's; the connector's values win. The caller's key `email` is
    dropped.
    """
    options = launch.options
    connector_metadata = {
        "email": invitation.email if rules.sends_email else None,
        "launch_id": launch.id,
        "cohort_id": launch.cohort_id,
        "variant": options.variant,
    }
    metadata = {k: v for k, v in options.metadata.items() if k != "email"} | _non_null(connector_metadata)
    respondent = {"external_id": invitation.id, "display_name": invitation.name, "metadata": metadata}
    return _non_null({"respondent": _non_null(respondent), "mode": options.mode, "locale": options.locale})


def _non_null(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def people_a_day(rules: StartRules, launch: Launch) -> int | None:
    """Return the number of people a standing launch may start in one UTC day.

    Other launches return None: `max_interviews` limits them.
    """
    return rules.people_a_day if launch.standing else None


def start_result(
    rules: StartRules, launch: Launch, invitation: Invitation, answer: KojiStart, now: int
) -> StartResult:
    """Return the result of a start, with the link from Koji's answer, or else from the template."""
    link = answer.link or link_of(rules, launch, invitation, answer.interview_id)
    hours = rules.complete_after_hours
    can_end = hours is not None and answer.interview_id is not None and answer.session_token is not None
    return StartResult(
        interview_id=answer.interview_id,
        link=link,
        session_token=answer.session_token,
        due=now + SCHEDULE[0] if answer.interview_id else now + SCHEDULE[-1],
        complete_due=now + (hours or 0) * HOUR if can_end else None,
    )


def next_poll(invitation: Invitation) -> int | None:
    """Return when a silent interview is read next after this read (ms), or None if it expires now."""
    polls = invitation.polls + 1
    if invitation.started_at is None or invitation.interview_id is None or polls >= len(SCHEDULE):
        return None
    return invitation.started_at + SCHEDULE[polls]
