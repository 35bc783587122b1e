"""Take what a caller says about an interview, and make the observation of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import DAY, read_envelope, read_interview, unreadable
from connector.domain.results.koji_values import identifier
from connector.domain.results.observation import Observation
from connector.domain.results.sync import InboundWebhook
from connector.errors import InvalidInput
from connector.service.execution.operation import Input
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from connector.text.values import read_time

VALUES = ("themes", "sentiment", "quality_score", "respondent_email", "transcript_url", "completed_at")


InterviewId = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[!-~]+$"),
    AfterValidator(lambda written: identifier(written) or written),
]
"""An interview's id to look up: a UUID in its one spelling; a placeholder, which no interview has, stays."""


class InterviewInput(Input):
    """Names one interview, or describes it."""

    interview_id: InterviewId | None = Field(None, description="Koji's id of the interview.")
    interview: dict[str, Any] | None = Field(
        None,
        description="Instead of interview_id: the whole interview in the shape of Koji's webhook. Koji is "
        "not read.",
    )
    themes: list[str] | None = Field(
        None,
        description="Beside interview_id: its themes, in order; as text, one a line or separated by commas.",
    )
    sentiment: str | None = Field(
        None, description="Beside interview_id: positive, negative, neutral or mixed."
    )
    quality_score: float | None = Field(
        None, ge=0, le=5, description="Beside interview_id: the quality score, 1 to 5."
    )
    respondent_email: str | None = Field(
        None, description="Beside interview_id: the respondent's e-mail address."
    )
    transcript_url: str | None = Field(
        None, description="Beside interview_id: where the transcript can be read."
    )
    completed_at: str | None = Field(
        None, description="Beside interview_id: when it was completed, ISO 8601."
    )

    @property
    def values(self) -> dict[str, Any]:
        """Return the values that stand beside the interview id."""
        return {name: value for name in VALUES if (value := getattr(self, name)) not in (None, "", [])}

    @property
    def _body(self) -> dict[str, Any]:
        return self.values if self.interview is None else self.interview

    @property
    def has_values(self) -> bool:
        """Tell whether the call brings the values itself, so that Koji is not read."""
        return self.interview is not None or bool(self.values)

    def checked_id(self, connection: Connection) -> str:
        """Return the interview's id. Raises `InvalidInput` for none, or for an interview in two forms."""
        if self.interview is None:
            if self.interview_id is None:
                detail = "is missing; give interview_id, or interview as an object"
                raise InvalidInput.of("interview_id", detail)
            if identifier(self.interview_id) is None:
                raise InvalidInput.of(
                    "interview_id", "is a placeholder or an address, not Koji's id of an interview"
                )
            if self.completed_at and read_time(self.completed_at) is None:
                raise InvalidInput.of("completed_at", "is no time; write it like 2026-01-31T12:00:00Z")
            if self.respondent_email and not read_interview(self.values, "", event=None).email_given:
                raise InvalidInput.of("respondent_email", "is not exactly one address")
            return self.interview_id
        if self.interview_id is not None or self.values:
            detail = "stands beside interview_id or its values; give one of the two forms"
            raise InvalidInput.of("interview", detail)
        interview_id = read_envelope(self.interview, aliases=connection.koji_field_aliases).interview_id
        if interview_id is None:
            raise InvalidInput.of(
                "interview", "has no interview_id in it, or a placeholder or an address; add one"
            )
        for field, wrong in unreadable(self.interview, connection.koji_field_aliases).items():
            if field not in ("sentiment", "respondent_email"):
                raise InvalidInput.of("interview", f"{wrong}, or leave it out")
        return interview_id

    def observation(self, connection: Connection, now: int, *, force: bool) -> Observation:
        """Return the observation that the call makes. Raises `InvalidInput`."""
        rules, interview = sync_rules(connection), Interview(self.checked_id(connection))
        if self.has_values:
            interview = read_interview(
                self._body,
                interview.interview_id,
                event=read_envelope(self._body, aliases=connection.koji_field_aliases).event,
                aliases=connection.koji_field_aliases if self.interview is not None else {},
                project_id=connection.koji_project_id,
                whole=rules.added.need_analysis(),
            )
        if (interview.completed_at or 0) > now + DAY:
            raise InvalidInput.of("completed_at", "is in the future")
        return Observation(rules=rules, interview=interview, at=now, from_call=self.has_values, force=force)

    def webhooks(self, connection: Connection, interview_id: str, now: int) -> list[InboundWebhook]:
        """Return the receipt's row of this call: none when Koji is to be read."""
        if not self.has_values:
            return []
        return [
            InboundWebhook(
                connection=connection.name,
                received_at=now,
                source="call",
                state="done",
                interview_id=interview_id,
                body=json.dumps(self._body),
            )
        ]
