"""Made-up answers about a made-up person at example.com: samples of events, and examples of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from connector.domain.launches.launch import Invitation, InvitationState, Launch, LaunchOptions, LaunchStatus
from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.sync import Sync
from connector.service.views.launch import LaunchOutput, item_of
from connector.service.views.run import RunOutput
from connector.service.views.sync import SyncOutput, flat

INTERVIEW_ID: Final = "int_sample"
LAUNCH_ID: Final = "lau_sample"
RUN_ID: Final = "run_sample"
COHORT_ID: Final = "cohort-1"
OPT_OUT_LINK: Final = "https://connector.example.com/o/sample"
AT_MS: Final = 1_763_640_000_000
AT: Final = "2025-11-20T12:00:00Z"
PERSON: Final = {"user_id": "user-42", "email": "ada@example.com", "name": "Ada Example"}


def whole(model: type[BaseModel], **known: Any) -> dict[str, Any]:
    """Return an answer with every key of a model; unknown values are null."""
    return {**dict.fromkeys(model.model_fields), **known}


def part(model: type[BaseModel], known: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return an answer with every key of a model, from values of which some are others'."""
    return {name: {**known, **more}.get(name) for name in model.model_fields}


def page(*items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the only page of a list."""
    return {"items": list(items), "next_cursor": None, "has_more": False}


def sync(connection: str, status: SyncStatus = SyncStatus.SYNCED) -> Sync:
    """Return a sync of the status: synced, skipped or failed."""
    skipped, synced = status is SyncStatus.SKIPPED, status is SyncStatus.SYNCED
    return Sync(
        connection=connection,
        interview_id=INTERVIEW_ID,
        status=status,
        first_received_at=AT_MS,
        updated_at=AT_MS,
        reason="below_quality_gate" if skipped else None if synced else "rejected_by_amplitude",
        completed_at=AT_MS,
        synced_at=AT_MS if synced else None,
        user_id=None if skipped else PERSON["email"],
        facts=Interview(
            INTERVIEW_ID,
            ready=True,
            themes=("pricing confusion", "slow import"),
            sentiment="negative",
            quality_score=2.0 if skipped else 4.2,
            transcript_url=f"https://www.koji.so/interviews/{INTERVIEW_ID}",
        ),
    )


def invitation(connection: str) -> Invitation:
    """Return an invitation whose interview is started."""
    return Invitation(
        id="inv_sample",
        connection=connection,
        launch_id=LAUNCH_ID,
        position=0,
        state=InvitationState.STARTED,
        person=0,
        created_at=AT_MS,
        updated_at=AT_MS,
        user_id=PERSON["user_id"],
        email=PERSON["email"],
        name=PERSON["name"],
        interview_id=INTERVIEW_ID,
        link="https://www.koji.so/interview?external_id=inv_sample",
        started_at=AT_MS,
    )


def launch(connection: str) -> Launch:
    """Return a running launch of a cohort."""
    return Launch(
        id=LAUNCH_ID,
        connection=connection,
        status=LaunchStatus.RUNNING,
        created_at=AT_MS,
        options=LaunchOptions(max_interviews=100, variant="B"),
        goes_on=True,
        cohort_id=COHORT_ID,
        cohort_name="Onboarding drop-off",
    )


LAUNCH: Final = whole(
    LaunchOutput,
    launch_id=LAUNCH_ID,
    begun_at=AT,
    status="finished",
    status_url=f"https://connector.example.com/actions/get_launch?launch_id={LAUNCH_ID}",
    cohort_id=COHORT_ID,
    cohort_name="Onboarding drop-off",
    members_total=5,
    to_invite=1,
    waiting=0,
    invited=1,
    completed=0,
    failed=0,
    in_doubt=0,
    cancelled=0,
    skipped={"over_limit": 3, "suppressed": 1},
    sample={"method": "random", "seed": LAUNCH_ID, "drawn_from": 4},
    quota_cells=[],
    segments=[],
    credits_estimate=3,
    eta_seconds=0,
    warnings=[],
    invitations=[item_of(invitation("default"), OPT_OUT_LINK).model_dump(mode="json")],
    skipped_examples=[],
)
PAUSED: Final = {**LAUNCH, "status": "paused", "pause_reason": "koji_credits", "eta_seconds": None}
SYNC: Final = {
    **SyncOutput(**flat(sync("default"))).model_dump(mode="json"),
    "event_insert_id": f"koji:{INTERVIEW_ID}:completed",
    "identify_insert_id": f"koji:{INTERVIEW_ID}:identify",
}
REQUEST: Final = {
    "events": [
        {
            "user_id": PERSON["email"],
            "event_type": "koji.interview_completed",
            "time": AT_MS,
            "insert_id": f"koji:{INTERVIEW_ID}:completed",
            "event_properties": {"interview_id": INTERVIEW_ID, "theme_top_1": "pricing confusion"},
        }
    ],
    "options": None,
}
RUN: Final = whole(
    RunOutput,
    run_id=RUN_ID,
    status="finished",
    total=3,
    pending=0,
    synced=2,
    skipped={"below_quality_gate": 1},
    failed={},
    eta_seconds=0,
    done=[],
    left_to_people=[],
)
