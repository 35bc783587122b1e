"""Decide what should happen to an interview, from what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from connector.domain.results.added_properties import AddedProperties, is_answered
from connector.domain.results.amplitude_user import amplitude_user_of, is_respondent_known, unusable
from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import Aliases
from connector.domain.results.theme_keys import Vocabulary

OTHER_PROJECT, SUPPRESSED, ANONYMOUS = "other_project", "suppressed", "anonymous"
_UNFINISHED = frozenset({"processing", "pending", "in_progress", "queued"})


class SyncRules(NamedTuple):
    """The settings of a connection that concern its interviews.

    `field_aliases` maps a field to the steps of its path in a webhook's body. `can_read` says that a key of
    Koji is set, `can_send` that one of Amplitude is.
    """

    connection: str
    project_id: str | None
    field_aliases: Aliases
    min_quality: float
    null_email_is_anonymous: bool
    trust_external_id: bool
    min_id_length: int
    can_read: bool
    can_send: bool
    vocabulary: Vocabulary | None = None
    added: AddedProperties = AddedProperties()


class Verdict(StrEnum):
    """The outcome of a decision over an interview."""

    SYNC = "sync"
    SKIP = "skip"
    PENDING = "pending"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reason; `user_id` only for `SYNC` and `FAIL`."""

    verdict: Verdict
    reason: str | None = None
    user_id: str | None = None


def decide(
    interview: Interview,
    rules: SyncRules,
    *,
    was_read: bool = False,
    from_call: bool = False,
    backfill: bool = False,
    gave_up: bool = False,
) -> Decision:
    """Decide over an interview: the first reason that applies, in the order of the contract.

    `gave_up` says that the wait for an unfinished analysis was long enough.
    """
    all_asked = was_read or from_call
    user_id = amplitude_user_of(
        interview,
        null_email_is_anonymous=rules.null_email_is_anonymous,
        trust_external_id=rules.trust_external_id,
    )
    anonymous = user_id is None and (all_asked or is_respondent_known(interview))
    if reason := _reason_against(interview, rules, anonymous=anonymous):
        return Decision(Verdict.SKIP, reason)
    answered = not rules.added.answers or is_answered(interview)
    scored = interview.themes is not None and interview.quality_score is not None
    complete = all_asked or (scored and answered)
    unscored = interview.quality_score is None and interview.analysis_status in _UNFINISHED
    unfinished = (unscored or not interview.ready) and not from_call and not gave_up
    if user_id is None or not complete or unfinished:
        return Decision(Verdict.PENDING, "analysis_not_ready" if user_id and complete else "waiting_for_koji")
    if interview.quality_score is None:
        return Decision(Verdict.SKIP, "no_quality_score")
    if backfill and completion(interview) is None:
        return Decision(Verdict.SKIP, "no_completion_time")
    if unusable(user_id, rules.min_id_length):
        return Decision(Verdict.FAIL, "invalid_user_id", user_id)
    return Decision(Verdict.SYNC, None, user_id)


def _reason_against(interview: Interview, rules: SyncRules, *, anonymous: bool) -> str | None:
    """Return a reason to skip that no further fact can change, or None."""
    project_id = rules.project_id
    if project_id and interview.project_id and interview.project_id != project_id:
        return OTHER_PROJECT
    if interview.suppressed:
        return SUPPRESSED
    if anonymous:
        return ANONYMOUS
    if interview.analysis_status == "failed":
        return "analysis_failed"
    score = interview.quality_score
    below = interview.failed_quality_gate if score is None else score < rules.min_quality
    return "below_quality_gate" if below else None


def completion(interview: Interview) -> int | None:
    """Return when the interview was completed (ms): as Koji says, or else the time of the webhook."""
    return interview.completed_at or interview.occurred_at
