"""Decide the answers of one Koji project's API, strictly and without HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import httpx
from pydantic import Field, ValidationError

from connector.sandbox.bodies import Strict, mistake
from connector.sandbox.faults import FaultQueue
from connector.sandbox.koji.respondents import result_for
from connector.sandbox.koji.scheduler import Scheduler
from connector.sandbox.koji.store import Interview, KojiStore, Switches
from connector.sandbox.koji.webhooks import WebhookSender
from connector.sandbox.limits import CallWindow, most_in_any_window
from connector.sandbox.options import SandboxOptions

M = TypeVar("M", bound=Strict)


class RefusedError(Exception):
    """An error answer of Koji; `code` is the documented name of the error."""

    def __init__(self, status: int, code: str, message: str, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {**(body or {}), "error": code, "message": message}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the API. `counted` tells whether the call counted against the key's rate limit."""

    at: float
    route: str
    status: int
    counted: bool


class KojiProject:
    """One Koji project with its key, interviews and webhook."""

    def __init__(
        self, options: SandboxOptions, now: Callable[[], float], transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.options = options
        self.now = now
        self.store = KojiStore(now, options.koji_project_id)
        self.sender = WebhookSender(self.store, options, now, transport)
        self.scheduler = Scheduler(now)
        self.faults = FaultQueue()
        self.reset()

    def reset(self) -> None:
        """Delete interviews, calls, faults, webhooks and switches, but keep the saved webhook endpoint."""
        self.store.interviews.clear()
        self.sender.reset()
        self.scheduler.clear()
        self.faults.clear()
        self.calls: list[Call] = []
        self._window = CallWindow(self.options.koji_rate_limit_per_minute, 60.0, self.now)
        self.switches = Switches(
            permissions=self.options.koji_permissions, analysis_seconds=self.options.analysis_seconds
        )

    def check_key(self, authorization: str) -> None:
        """Raise RefusedError 401 for an `Authorization` header without the API key."""
        scheme, _, key = authorization.partition(" ")
        known = self.options.koji_api_key
        if scheme.lower() != "bearer" or not secrets.compare_digest(key.encode(), known.encode()):
            raise RefusedError(401, "unauthorized", "Invalid API key.")

    def take_call(self) -> None:
        """Count one call. Raises RefusedError 429 (Koji: 60 requests a minute and key by default)."""
        if not self._window.take():
            raise RefusedError(429, "rate_limited", "Too many requests.")

    def check_permission(self, permission: str) -> None:
        """Raise RefusedError 403 when the key lacks a permission."""
        if permission not in self.switches.permissions:
            raise RefusedError(403, "forbidden", f"This key lacks {permission}.")

    def max_calls_in_any_window(self, seconds: float = 60.0, *, route: str | None = None) -> int:
        """Return the most calls that arrived within any span of `seconds`, including refused calls."""
        times = [call.at for call in self.calls if route is None or call.route == route]
        return most_in_any_window(times, seconds)

    def start(self, body: bytes) -> dict[str, Any]:
        """Start an interview. Raises RefusedError: 400 for an undocumented body, 402 without credits."""
        wanted = _read(_Start, body)
        if self.switches.credits_exhausted:
            raise RefusedError(402, "credits_exhausted", "This workspace has no credits left.")
        respondent, email = wanted.respondent, wanted.respondent.metadata.get("email")
        interview = self.store.add(
            external_id=respondent.external_id,
            display_name=respondent.display_name,
            email=email if isinstance(email, str) else None,
            metadata=respondent.metadata,
            mode=wanted.mode or "text",
            locale=wanted.locale or "en",
        )
        interview.result = result_for(self.options.seed, interview.email or interview.interview_id)
        answer = {
            "interview_id": interview.interview_id,
            "session_token": interview.session_token,
            "initial_message": "Hello, and thank you for your time. What was your first week like?",
        }
        if self.switches.link_in_start:
            answer["interview_url"] = f"https://koji.so/i/{interview.interview_id}"
        return answer

    def interview(self, interview_id: str) -> Interview:
        """Return an interview. Raises RefusedError 404."""
        interview = self.store.interviews.get(interview_id)
        if interview is None:
            raise RefusedError(404, "not_found", "No such interview.")
        return interview

    def complete(self, session_token: str, body: bytes) -> dict[str, Any]:
        """End an interview; refuse a second call with 409 and the first call's body."""
        wanted = _read(_Complete, body)
        interview = self.interview(wanted.interview_id)
        if not secrets.compare_digest(session_token.encode(), interview.session_token.encode()):
            raise RefusedError(401, "unauthorized", "Invalid session token.")
        if interview.completed_at is not None:
            first = self.store.completed_body(interview)
            if self.switches.second_complete_status == 200:
                return first
            raise RefusedError(409, "already_completed", "This interview was already completed.", first)
        self.finish(interview, wanted.reason)
        return self.store.completed_body(interview)

    def finish(
        self, interview: Interview, reason: str = "natural", *, analysis_seconds: float | None = None
    ) -> None:
        """End an interview; send `interview.completed` now, and the other events after the analysis."""
        seconds = self.switches.analysis_seconds if analysis_seconds is None else analysis_seconds
        interview.reason, interview.completed_at = reason, self.now()
        interview.analysed_at = interview.completed_at + seconds
        self.sender.send("interview.completed", interview)
        self.scheduler.at(interview.analysed_at, lambda: self._announce_analysis(interview))

    def _announce_analysis(self, interview: Interview) -> None:
        if interview.result.quality_score is None:
            return
        self.sender.send("interview.analysis_ready", interview)
        if interview.failed_gate:
            self.sender.send("interview.failed_quality_gate", interview)


class _Respondent(Strict):
    external_id: str | None = None
    display_name: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class _Start(Strict):
    """The body that Koji's start page documents; other fields are refused."""

    respondent: _Respondent = _Respondent()
    mode: Literal["text", "voice"] | None = None
    locale: str | None = None


class _Complete(Strict):
    interview_id: str
    reason: Literal["natural", "respondent_left", "timeout", "manual"] = "manual"


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise RefusedError(400, "invalid_request", mistake(error)) from None
