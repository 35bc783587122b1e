"""Hold Koji's data: interviews, and their results after the analysis."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from connector.sandbox.bodies import Strict, Texts
from connector.sandbox.options import PERMISSIONS, Permission

ReadField = Literal[
    "analysis_status", "sentiment", "respondent", "transcript_url", "completed_at", "project_id", "mode"
]
QUALITY_GATE: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of the analysis. `quality_score` is 1.0 to 5.0; None means that the analysis failed.

    `themes` may be one text, as senders write them whose tools know no lists.
    """

    themes: Sequence[str] = ()
    sentiment: str = "neutral"
    quality_score: float | None = 3.5
    insights: Sequence[str] = ()
    structured_answers: Sequence[Mapping[str, Any]] = ()
    duration_seconds: int = 600
    respondent_messages: int = 9


@dataclass(slots=True, kw_only=True)
class Interview:
    """One interview. Times are epoch seconds; `analysed_at` is the end of the analysis, past or future."""

    interview_id: str
    session_token: str
    started_at: float
    external_id: str | None = None
    display_name: str | None = None
    email: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "text"
    locale: str = "en"
    anonymous: bool = False
    reason: str | None = None
    completed_at: float | None = None
    analysed_at: float | None = None
    result: Result = field(default_factory=Result)

    @property
    def status(self) -> str:
        """Return `active` or `completed`."""
        return "active" if self.completed_at is None else "completed"

    @property
    def failed_gate(self) -> bool:
        """Tell whether Koji's quality gate (3 and more) refuses the interview."""
        return self.result.quality_score is not None and self.result.quality_score < QUALITY_GATE


def iso(seconds: float) -> str:
    """Write epoch seconds as Koji prints times (UTC, whole seconds)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Switches(Strict):
    """Behaviour that can be changed at run time; `read_omits` names the fields to leave out of a read."""

    permissions: Texts[Permission] = PERMISSIONS
    credits_exhausted: bool = False
    redirect_to: str | None = None
    read_omits: Texts[ReadField] = frozenset()
    link_in_start: bool = False
    second_complete_status: Literal[200, 409] = 409
    analysis_seconds: float = 0.0


class KojiStore:
    """Holds interviews by id. `now` returns epoch seconds."""

    def __init__(self, now: Callable[[], float], project_id: str) -> None:
        self._now = now
        self.project_id = project_id
        self.interviews: dict[str, Interview] = {}

    def add(self, *, interview_id: str | None = None, **fields: Any) -> Interview:
        """Make an active interview from its fields."""
        interview = Interview(
            interview_id=interview_id or str(uuid.uuid4()),
            session_token=f"st_sandbox_{secrets.token_hex(10)}",
            started_at=self._now(),
            **fields,
        )
        self.interviews[interview.interview_id] = interview
        return interview

    def analysis_status(self, interview: Interview) -> str | None:
        """Return `processing`, `completed` or `failed`, or None while the interview is active."""
        if interview.analysed_at is None:
            return None
        if self._now() < interview.analysed_at:
            return "processing"
        return "failed" if interview.result.quality_score is None else "completed"

    def stats(self, interview: Interview) -> dict[str, int]:
        """Return the summary numbers of an interview."""
        has_ended = interview.completed_at is not None
        messages = interview.result.respondent_messages if has_ended else 0
        return {
            "duration_seconds": interview.result.duration_seconds if has_ended else 0,
            "respondent_messages": messages,
            "interviewer_messages": messages + 1,
        }

    def completed_body(self, interview: Interview) -> dict[str, Any]:
        """Return the answer of the complete endpoint."""
        stats = self.stats(interview)
        total = stats["respondent_messages"] + stats["interviewer_messages"]
        return {
            "interview_id": interview.interview_id,
            "status": "completed",
            "completed_at": iso(interview.completed_at or self._now()),
            "analysis_status": "processing",
            "stats": {**stats, "total_messages": total},
        }

    def read_body(self, interview: Interview, omits: Collection[str]) -> dict[str, Any]:
        """Return the answer of the read endpoint: documented fields, and others not in `omits`."""
        status = self.analysis_status(interview)
        body: dict[str, Any] = {
            "interview_id": interview.interview_id,
            "status": interview.status,
            "transcript": transcript(interview),
            "stats": self.stats(interview),
        }
        if status == "completed":
            analysis = self.analysis(interview)
            body["analysis"] = {key: value for key, value in analysis.items() if key not in omits}
        undocumented: dict[str, Any] = {
            "analysis_status": status,
            "respondent": self.respondent(interview),
            "transcript_url": transcript_url(interview),
            "completed_at": iso(interview.completed_at) if interview.completed_at else None,
            "project_id": self.project_id,
            "mode": interview.mode,
        }
        body |= {key: value for key, value in undocumented.items() if value is not None and key not in omits}
        if "respondent" not in omits:
            body["respondent_email"] = None if interview.anonymous else interview.email
        return body

    def analysis(self, interview: Interview) -> dict[str, Any]:
        """Return the analysis payload; `structured_answers` members are in camelCase, as Koji prints them."""
        result = interview.result
        body: dict[str, Any] = {
            "themes": result.themes,
            "insights": list(result.insights),
            "quality_score": result.quality_score,
            "sentiment": result.sentiment,
        }
        if result.structured_answers:
            body["structured_answers"] = [dict(answer) for answer in result.structured_answers]
        return body

    def respondent(self, interview: Interview) -> dict[str, Any] | None:
        """Return the respondent, or None in anonymous mode."""
        if interview.anonymous:
            return None
        return {
            "external_id": interview.external_id,
            "display_name": interview.display_name,
            "metadata": dict(interview.metadata),
        }


def transcript_url(interview: Interview) -> str:
    """Return the URL of the transcript in Koji's app."""
    return f"https://www.koji.so/interviews/{interview.interview_id}"


def transcript(interview: Interview) -> Sequence[Mapping[str, str]]:
    """Return a short synthetic conversation about the themes."""
    themes = () if interview.completed_at is None else interview.result.themes
    return [
        {"speaker": "interviewer", "text": "What was your first week like?"},
        *(
            {"speaker": "respondent", "text": f"I noticed {theme}."}
            for theme in ([themes] if isinstance(themes, str) else themes)
        ),
    ]
