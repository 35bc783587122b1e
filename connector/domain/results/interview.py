"""An interview, and the states of its sync.

Times are whole milliseconds since the epoch, UTC. `None` means "not known", never "empty".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Interview(NamedTuple):
    """All that is known of one Koji interview, from webhooks, reads and callers.

    `themes` are in Koji's order. `quality_score` is 0 to 5, not rounded. `email_given` is true once a
    `respondent_email` came, even null: null says "no respondent", absence says nothing. `invitee` is the
    Amplitude user id (else the e-mail) of the invitation whose `external_id` came back; `launch_id` to
    `variant` describe that invitation. `structured_answers` are questions, each followed by its short
    answers. `analysis` is kept only where a connection adds properties; `warning` names those of them that
    have no value, or says that the interview came again with another e-mail. `has_ended` says that the
    interview is over, `suppressed` that its respondent was erased.

    A tuple, as `Sync` and `InboundWebhook` are, because thousands a second are made from rows.
    """

    interview_id: str
    ready: bool = False
    analysis_status: str | None = None
    anonymous: bool = False
    failed_quality_gate: bool = False
    email_given: bool = False
    respondent_email: str | None = None
    external_id: str | None = None
    themes: tuple[str, ...] | None = None
    sentiment: str | None = None
    quality_score: float | None = None
    transcript_url: str | None = None
    completed_at: int | None = None
    occurred_at: int | None = None
    project_id: str | None = None
    mode: str | None = None
    duration_seconds: float | None = None
    respondent_messages: int | None = None
    invitee: str | None = None
    launch_id: str | None = None
    cohort_id: str | None = None
    cohort_name: str | None = None
    variant: str | None = None
    structured_answers: tuple[tuple[str, ...], ...] | None = None
    analysis: Mapping[str, Any] | None = None
    warning: str | None = None
    has_ended: bool = False
    suppressed: bool = False

    def without_respondent(self) -> Interview:
        """Return the interview without what identifies its respondent."""
        return self._replace(
            respondent_email=None,
            external_id=None,
            invitee=None,
            launch_id=None,
            cohort_id=None,
            cohort_name=None,
            variant=None,
            mode=None,
            structured_answers=None,
            analysis=None,
            warning=None,
        )

    def erased(self) -> Interview:
        """Return what stays of the interview once its respondent is erased."""
        bare = Interview(self.interview_id, anonymous=self.anonymous, project_id=self.project_id)
        return bare._replace(suppressed=True)

    def known_fields(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults."""
        return {
            name: value
            for name, value, default in zip(self._fields, self, _DEFAULTS, strict=True)
            if value != default
        }


_DEFAULTS = tuple(Interview._field_defaults.get(name) for name in Interview._fields)


class SyncStatus(StrEnum):
    """The state of an interview's sync."""

    PENDING = "pending"
    SYNCED = "synced"
    SKIPPED = "skipped"
    FAILED = "failed"


class Stage(StrEnum):
    """The next step of a pending sync."""

    READ = "read"  # Koji must be read
    HOLD = "hold"  # the rest of its backfill must be read, to know the newest interview
    SEND = "send"  # Amplitude must be written to
