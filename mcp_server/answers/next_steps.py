"""PURE: name the call that usually follows an answer, so that a model need not guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.service.execution.operation import Input

_DEFAULT = Input.model_fields["connection"].default


def next_step(tool: str, payload: Input, values: Mapping[str, Any]) -> str | None:
    """Return a sentence, None when there is nothing to say."""
    step = _step(tool, values)
    if step is None or payload.connection == _DEFAULT:
        return step
    return f"{step} (connection {payload.connection})"


def _step(tool: str, values: Mapping[str, Any]) -> str | None:  # noqa: PLR0911 - one a case
    match values:
        case {"plan_token": str(), "to_invite": 0}:
            return "nobody would be invited; skipped says why."
        case {"plan_token": str(token), "to_invite": people, "credits_estimate": credits_}:
            return (
                f"launch_cohort_interviews with plan_token {token} invites these {people} people and can "
                f"spend {credits_} credits. Nothing is spent before."
            )
        case {"status": "paused", "pause_reason": "daily_credits" | "koji_unreachable"}:
            return "it goes on by itself; get_launch shows it."
        case {"status": "paused", "launch_id": str(launch_id)}:
            return f"resume_launch with launch_id {launch_id} once the cause is mended."
        case {"status": "planning" | "running" | "pending", "launch_id": str(launch_id)}:
            return f"get_launch with launch_id {launch_id} shows how far it is."
        case {"status": "running", "run_id": str(run_id)}:
            return f"get_run with run_id {run_id} shows how far it is."
        case {"status": "pending", "interview_id": str(interview_id)}:
            return f"get_sync with interview_id {interview_id} shows how it ended."
        case {"analysis_status": "completed", "interview_id": str(interview_id)}:
            return f"sync_interview_to_amplitude with interview_id {interview_id} brings it to Amplitude."
        case {"analysis_status": str() | None, "interview_id": str(interview_id)}:
            return "the analysis is not ready; call again later, or with wait_seconds up to 25."
        case {"status": "synced", "interview_id": str(interview_id)} if tool != "get_sync":
            return f"get_sync with interview_id {interview_id} shows the receipt."
        case {"has_more": True, "next_cursor": str(cursor)}:
            return f"the next page with cursor {cursor}"
        case {"invitations": [{"state": "completed", "interview_id": str(interview_id)}, *_]}:
            return f"get_interview_analysis with interview_id {interview_id} tells what was learnt."
    return None
