"""Observations of an interview, and how they add to what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.domain.results.anonymity import day_of
from connector.domain.results.decision import SyncRules
from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import DAY, read_interview


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A new fact or set of facts about an interview.

    `trusted` is `at` as far as a clock that never jumps confirms it, None while nothing does. `read` says
    that Koji was read, `from_call` that the values came with a call, `force` that the caller wants the
    interview read and sent again, `again` that a refused write may be sent once more.
    """

    rules: SyncRules
    interview: Interview
    at: int  # ms
    trusted: int | None = None  # ms
    read: bool = False
    from_call: bool = False
    force: bool = False
    again: bool = False
    run_id: str | None = None

    def marked(self) -> Interview:
        """Return the observed interview; a null e-mail marks it anonymous if the settings say so.

        A completion of after tomorrow is a mistake, and would keep later interviews from being the newest.
        """
        interview = self.interview
        if (interview.completed_at or 0) > self.at + DAY:
            interview = interview._replace(completed_at=None)
        null_email = interview.email_given and interview.respondent_email is None
        if null_email and self.rules.null_email_is_anonymous:
            return interview._replace(anonymous=True)
        return interview

    @property
    def key(self) -> tuple[str, str]:
        """Return the key of the interview's sync."""
        return (self.rules.connection, self.interview.interview_id)


def read_observation(
    rules: SyncRules, interview_id: str, body: Mapping[str, Any], at: int, trusted: int | None
) -> Observation:
    """Return the observation in Koji's answer to a read. Of its times only that of the completion counts."""
    interview = read_interview(
        body,
        interview_id,
        event=None,
        aliases=rules.field_aliases,
        project_id=rules.project_id,
        whole=rules.added.need_analysis(),
    )
    interview = interview._replace(occurred_at=None)
    return Observation(rules=rules, interview=interview, at=at, trusted=trusted, read=True)


def merge(old: Interview | None, new: Interview) -> Interview:
    """Return what is known after `new`: its values where it has any, or else the old values.

    An anonymous mark is a promise to the respondent: it is never withdrawn, and removes what identifies them.
    An erased respondent's interview learns nothing. A null e-mail removes an earlier e-mail. Of two webhooks
    the earlier is nearer to the completion. A finished analysis replaces a failed one.
    """
    merged = new if old is None else _merged(old, new)
    if merged.suppressed:
        return merged.erased()
    if not merged.ready and merged.themes and merged.quality_score is not None:
        merged = merged._replace(ready=True)
    return merged.without_respondent() if merged.anonymous else merged


def _merged(old: Interview, new: Interview) -> Interview:
    fields = new.known_fields()
    if new.email_given:
        fields["respondent_email"] = new.respondent_email
    if not new.themes and old.themes:
        fields.pop("themes", None)
    if new.ready and new.analysis_status is None:
        fields["analysis_status"] = None
    if old.analysis and new.analysis:
        fields["analysis"] = {**old.analysis, **new.analysis}
    if old.occurred_at is not None and new.occurred_at is not None:
        to_the_day = old.occurred_at == day_of(new.occurred_at)  # rounded while it had no respondent
        fields["occurred_at"] = new.occurred_at if to_the_day else min(old.occurred_at, new.occurred_at)
    return old._replace(**fields)
