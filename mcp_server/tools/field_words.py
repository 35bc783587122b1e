"""What a field is, in fewer words than the operations' own: a model reads them in every conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TAKEN: Final[Mapping[str, str]] = {
    "connection": "A name from list_connections.",
    "idempotency_key": "Your name for this request; a repeat within 7 days does nothing again.",
    "wait_seconds": "How long to wait for the end.",
    "cursor": "next_cursor of the page before.",
    "interview_id": "Koji's id of the interview.",
    "csv": "With a header row: interview_id, and where known completed_at (ISO 8601) and email.",
    "in_doubt": "Starts of unknown outcome: retry starts them again, and some may get a second interview; "
    "give_up counts them as failed. Look into Koji first.",
    "mode": "Without it the study's own mode.",
    "metadata": "Goes to Koji with each interview.",
    "allow_without_link": "Start although no link can be made (KOJI_PROJECT_ID is not set).",
    "reinvite_after_days": "Ask again whoever was invited longer ago than this; without it nobody twice.",
}
ANSWERED: Final[Mapping[str, str]] = {
    "next_cursor": "cursor of the next page.",
    "has_more": "Whether there is a next page.",
    "launch_id": "For get_launch.",
    "status": "How it stands.",
    "decision": "What would be done.",
    "outcome": "How it ended; null while at work.",
    "identify_insert_id": "null when a newer interview owns the user properties.",
    "run_id": "For get_run.",
    "interview_id": "Koji's id.",
    "interview_link": "The link that the person opens.",
    "pause_reason": "Why it waits; without resumes_at, until resume_launch.",
    "resumes_at": "When the pause ends by itself.",
    "message": "What it waits for, or why it ended.",
    "cohort_id": "null for given members.",
    "cohort_name": "Its name in Amplitude.",
    "members_total": "to_invite and all skipped.",
    "to_invite": "People who are to be invited.",
    "waiting": "Not started yet.",
    "invited": "Started.",
    "failed": "Refused, or given up.",
    "in_doubt": "Outcome unknown; see resume_launch.",
    "cancelled": "Called off before anything was sent.",
    "skipped": "Not done, by reason.",
    "credits_estimate": "Koji credits at most.",
    "eta_seconds": "About how long the rest takes.",
    "warnings": "What to know before going on.",
    "plan_token": "For launch_cohort_interviews; null unless planned.",
    "plan_expires_at": "Until when plan_token is good.",
    "email": "null when unknown.",
    "user_id": "Amplitude's user id.",
    "quality_score": "1 to 5.",
    "sentiment": "positive, negative, neutral or mixed.",
    "themes": "In Koji's order.",
    "reason": "Why not; null when all is well.",
    "completed_at": "When the interview ended.",
    "synced_at": "When Amplitude accepted it.",
    "started_at": "When it was started.",
    "status_url": "Where it is told.",
    "event_insert_id": "By which Amplitude counts it once.",
    "transcript_url": "Where the transcript is.",
    "done": "place and what was done there.",
    "received": "What came in: received_at, source, event, signature_header, signature_scheme.",
    "attempts": "What was sent to Amplitude: at, outcome, status, words, identify.",
    "request": "Amplitude's body: events ($identify, then the event) and options; null when nothing is sent.",
    "checks": "name, status (ok, warn, fail or unknown) and message of each.",
    "refused_webhooks": "The last five of the hour: at, setting to look at, body_bytes.",
    "skipped_examples": "user_id and reason of some.",
    "invitations": "email, user_id, state, interview_link and interview_id of each person.",
    "structured_answers": "question_text, question_type, structured_value, confidence and id of each.",
    "left_to_people": "What only a person can do.",
}
SUMMED_UP: Final = frozenset(
    {
        *("attempts", "checks", "done", "invitations", "received", "refused_webhooks", "request"),
        *("skipped_examples", "structured_answers"),
    }
)
"""Objects whose fields their description tells."""
