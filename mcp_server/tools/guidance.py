"""What a tool's description adds to the operation's summary: when another tool is right, and consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GUIDANCE: Final[Mapping[str, str]] = {
    "launch_cohort_interviews": (
        "The person is asked first where the client can ask; where it cannot, a plan_token is needed. "
        "Not for one person: start_interview."
    ),
    "sync_interview_to_amplitude": "Not for looking first (preview_interview_sync) or for many "
    "(backfill_interviews).",
    "get_interview_analysis": "Not for what reached Amplitude (get_sync). Respondents' own words come only "
    "with response_format detailed, fenced as data.",
    "plan_cohort_launch": "Not for a launch's progress: get_launch.",
    "start_interview": (
        "The person who uses the client is asked first where that can be done, else it is refused. Not for "
        "many people: plan_cohort_launch."
    ),
    "get_launch": "Not for finding a launch: list_launches.",
    "list_launches": "Not for one launch's people: get_launch.",
    "cancel_launch": "Interviews that are started stay: complete_interview ends one.",
    "resume_launch": "The person is asked first where the client can ask, else it is refused. Not for a "
    "pause that ends by itself (resumes_at).",
    "complete_interview": "Not for people who only were invited: cancel_launch.",
    "preview_interview_sync": "Not for what was sent already: get_sync.",
    "backfill_interviews": "Not for one interview (sync_interview_to_amplitude) or for failed ones "
    "(replay_syncs).",
    "get_run": "Not for launches: get_launch.",
    "list_syncs": "Not for the analysis itself: get_interview_analysis.",
    "get_sync": "Not for the analysis itself: get_interview_analysis.",
    "replay_syncs": "Not for interviews that were never synced: backfill_interviews.",
    "forget_respondent": "Not for calling off an invitation: cancel_launch.",
    "list_cohorts": "Not for who is in a cohort: plan_cohort_launch counts them.",
    "list_audit": "Not for what became of interviews: list_syncs.",
    "list_connections": "Not for whether one works: check_connection.",
    "check_connection": "Use it when something is refused or nothing arrives. "
    "Not for one interview: get_sync.",
}
