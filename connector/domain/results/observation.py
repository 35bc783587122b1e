"""An observation of an interview, and what is known of the interview after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.domain.results.anonymity import day_of
from connector.domain.results.decision import SyncRules
from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import read_interview


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something that became known of an interview.

    `read` says that Koji itself was read, `given` that a caller vouches for the values, `force` that the
    caller wants it read and sent again, `again` that what was refused may go out once more.
    """

    rules: SyncRules
    interview: Interview
    at: int
    read: bool = False
    given: bool = False
    force: bool = False
    again: bool = False
    run_id: str | None = None

    def marked(self) -> Interview:
        """Return the interview as observed; a null e-mail is an anonymous mark where the settings say so."""
        null_email = self.interview.email_given and self.interview.respondent_email is None
        if null_email and self.rules.null_email_is_anonymous:
            return self.interview._replace(anonymous=True)
        return self.interview

    @property
    def key(self) -> tuple[str, str]:
        """Return the key of the sync that this is about."""
        return (self.rules.connection, self.interview.interview_id)


def heard_from_read(rules: SyncRules, interview_id: str, body: Mapping[str, Any], at: int) -> Observation:
    """Return what Koji answered to a read. A time in it other than the completion's is no webhook's time."""
    interview = read_interview(
        body,
        interview_id,
        event=None,
        aliases=rules.field_aliases,
        project_id=rules.project_id,
    )
    return Observation(rules=rules, interview=interview._replace(occurred_at=None), at=at, read=True)


def merge(old: Interview | None, new: Interview) -> Interview:
    """Return what is known after `new`: its values where it has any, else the old ones.

    An anonymous mark is never taken back, because it was a promise to the respondent; with it nothing stays
    that tells who that was. Nothing at all is learned of a respondent who was forgotten. A null e-mail takes
    an e-mail back. The earliest webhook is nearest to the completion. A finished analysis takes back that it
    failed.
    """
    merged = new if old is None else _over(old, new)
    if merged.suppressed:
        return merged.erased()
    if not merged.ready and merged.themes and merged.quality_score is not None:
        merged = merged._replace(ready=True)
    return merged.without_respondent() if merged.anonymous else merged


def _over(old: Interview, new: Interview) -> Interview:
    told = new.known_fields()
    if new.email_given:
        told["respondent_email"] = new.respondent_email
    if not new.themes and old.themes:
        told.pop("themes", None)
    if new.ready and new.analysis_status is None:
        told["analysis_status"] = None
    if old.occurred_at is not None and new.occurred_at is not None:
        to_the_day = old.occurred_at == day_of(new.occurred_at)  # kept so while it had no respondent
        told["occurred_at"] = new.occurred_at if to_the_day else min(old.occurred_at, new.occurred_at)
    return old._replace(**told)
