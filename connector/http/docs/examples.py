"""One example of each operation, as machines are shown it: what is asked, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from connector.domain.events.event import EventType
from connector.operations.check_connection import CheckOutput
from connector.operations.complete_interview import CompleteOutput
from connector.operations.get_interview_analysis import AnalysisOutput
from connector.operations.get_launch import GetLaunchOutput
from connector.operations.list_audit import AuditOutput
from connector.operations.list_cohorts import CohortItem
from connector.operations.list_connections import ConnectionItem
from connector.operations.preview_interview_sync import PreviewOutput
from connector.operations.start_interview import StartOutput
from connector.service import triggers
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput
from connector.service.views.sync import Receipt, SyncOutput

INTERVIEW = "int_sample"
LAUNCH = "lau_sample"
RUN = "run_sample"
AT = "2025-11-20T12:00:00Z"
COHORT = "cohort-1"
MEMBERS = [{"user_id": "user-42", "email": "ada@example.com", "name": "Ada Example"}]


class Example(NamedTuple):
    """What is asked, without what need not be given, and what is answered, with every key."""

    asked: Mapping[str, Any]
    answered: Mapping[str, Any]


def whole(model: type[BaseModel], **known: Any) -> dict[str, Any]:
    """Return an answer with every key of a model: null for what is not known."""
    return {**dict.fromkeys(model.model_fields), **known}


def _event(kind: EventType, model: type[BaseModel]) -> dict[str, Any]:
    trigger = next(one for one in triggers.TRIGGERS if one.name is kind)
    shown = triggers.sample(trigger, "default")
    return whole(model, **{name: shown[name] for name in model.model_fields if name in shown})


def _page(*items: Mapping[str, Any]) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": None, "has_more": False}


_SYNC = {
    **_event(EventType.INTERVIEW_SYNCED, SyncOutput),
    "event_insert_id": f"koji:{INTERVIEW}:completed",
    "identify_insert_id": f"koji:{INTERVIEW}:identify",
}
_REQUEST = {
    "events": [
        {
            "user_id": "ada@example.com",
            "event_type": "koji.interview_completed",
            "time": 1_763_640_000_000,
            "insert_id": f"koji:{INTERVIEW}:completed",
            "event_properties": {"interview_id": INTERVIEW, "theme_top_1": "pricing confusion"},
        }
    ],
    "options": None,
}
_LAUNCH = _event(EventType.LAUNCH_FINISHED, LaunchOutput)
_PLAN = {
    **_LAUNCH,
    "status": "planned",
    "waiting": 1,
    "invited": 0,
    "invitations": [],
    "plan_token": "plan_sample",
    "plan_expires_at": "2025-11-21T12:00:00Z",
}
_RUN = whole(
    RunOutput,
    run_id=RUN,
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
_FORGOTTEN = {
    **_RUN,
    "total": 1,
    "synced": 0,
    "skipped": {},
    "done": [{"place": "ledger", "what": "erased"}],
    "left_to_people": ["Delete the interviews at Koji."],
}
_ANALYSIS = whole(
    AnalysisOutput,
    interview_id=INTERVIEW,
    status="completed",
    analysis_status="completed",
    quality_score=4.2,
    sentiment="negative",
    themes=["pricing confusion", "slow import"],
    themes_text="pricing confusion, slow import",
    insights=["The import is slower than expected."],
    structured_answers=[],
    summary="The price page was hard to read.",
    transcript_url=f"https://www.koji.so/interviews/{INTERVIEW}",
    transcript=[],
    stats={"duration_seconds": 312},
    respondent={"email": "ada@example.com", "external_id": None},
)
_AUDIT = whole(
    AuditOutput,
    id=1,
    at=AT,
    token="zapier",  # noqa: S106 - the token's name
    surface="http",
    operation="cancel_launch",
    effect="write",
    touched={"launch_id": LAUNCH},
    outcome="done",
    ended_at=AT,
)
_STARTED = whole(
    StartOutput,
    status="started",
    interview_id=INTERVIEW,
    interview_link=f"https://www.koji.so/interview?id={INTERVIEW}",
    email="ada@example.com",
    user_id="user-42",
    launch_id=LAUNCH,
)

EXAMPLES: Mapping[str, Example] = {
    "launch_cohort_interviews": Example({"cohort_id": COHORT, "max_interviews": 20}, _LAUNCH),
    "plan_cohort_launch": Example({"members": MEMBERS}, _PLAN),
    "start_interview": Example(MEMBERS[0], _STARTED),
    "get_launch": Example(
        {"launch_id": LAUNCH}, whole(GetLaunchOutput, **_LAUNCH, next_cursor=None, has_more=False)
    ),
    "list_launches": Example({"status": "finished"}, _page(_LAUNCH)),
    "cancel_launch": Example({"launch_id": LAUNCH}, {**_LAUNCH, "status": "cancelled"}),
    "resume_launch": Example({"launch_id": LAUNCH, "in_doubt": "retry"}, _LAUNCH),
    "complete_interview": Example(
        {"interview_id": INTERVIEW, "reason": "timeout"},
        whole(CompleteOutput, interview_id=INTERVIEW, status="completed", completed_at=AT),
    ),
    "sync_interview_to_amplitude": Example({"interview_id": INTERVIEW}, _SYNC),
    "preview_interview_sync": Example(
        {"interview_id": INTERVIEW},
        whole(PreviewOutput, interview_id=INTERVIEW, decision="sync", request=_REQUEST),
    ),
    "get_interview_analysis": Example({"interview_id": INTERVIEW}, _ANALYSIS),
    "backfill_interviews": Example({"interview_ids": [INTERVIEW]}, _RUN),
    "get_run": Example({"run_id": RUN}, _RUN),
    "list_syncs": Example({"status": "synced"}, _page(_SYNC)),
    "get_sync": Example(
        {"interview_id": INTERVIEW}, whole(Receipt, **_SYNC, received=[], attempts=[], request=_REQUEST)
    ),
    "replay_syncs": Example({"status": "failed"}, _RUN),
    "forget_respondent": Example({"email": "ada@example.com"}, _FORGOTTEN),
    "list_cohorts": Example({}, _page(whole(CohortItem, id=COHORT, name="Onboarding drop-off", size=120))),
    "list_connections": Example({}, _page(whole(ConnectionItem, id="default", name="default", size=3))),
    "list_audit": Example({"operation": "cancel_launch"}, _page(_AUDIT)),
    "check_connection": Example(
        {},
        whole(
            CheckOutput,
            ok=True,
            checks=[{"name": "koji_key", "status": "ok", "message": "Koji accepts the key."}],
            refused_webhooks=[],
            next_step="Nothing is to be done.",
        ),
    ),
}
