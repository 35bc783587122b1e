"""The catalogue of triggers, and the one way in which an event is shown: to hooks, polls and as a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from connector.context import Context
from connector.domain.events.event import Event, EventType
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
)
from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.sync import Sync
from connector.service.views.launch import (
    InvitationItem,
    LaunchOutput,
    item,
    shown,
)
from connector.service.views.sync import SyncOutput, flat, time_text

SYNCS = frozenset({EventType.INTERVIEW_SYNCED, EventType.INTERVIEW_SKIPPED, EventType.SYNC_FAILED})
_SAMPLE_AT = 1_763_640_000_000


class InvitationTold(InvitationItem):
    """An invitation with the launch that it belongs to."""

    launch_id: str
    cohort_id: str | None
    cohort_name: str | None
    variant: str | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """One type of event as people choose it. `output` has the fields beside those of every event."""

    name: EventType
    title: str
    description: str
    output: type[BaseModel]


TRIGGERS: tuple[Trigger, ...] = (
    Trigger(
        EventType.INTERVIEW_SYNCED,
        "Interview Synced",
        "Triggers when Amplitude has accepted an interview.",
        SyncOutput,
    ),
    Trigger(
        EventType.INTERVIEW_SKIPPED,
        "Interview Skipped",
        "Triggers when an interview is not written to Amplitude, with the reason.",
        SyncOutput,
    ),
    Trigger(
        EventType.SYNC_FAILED,
        "Sync Failed",
        "Triggers when an interview could not be written to Amplitude.",
        SyncOutput,
    ),
    Trigger(
        EventType.INVITATION_CREATED,
        "Invitation Created",
        "Triggers when a person has an interview link: the next step is to send it.",
        InvitationTold,
    ),
    Trigger(
        EventType.LAUNCH_FINISHED,
        "Launch Finished",
        "Triggers when a launch has nobody left to start.",
        LaunchOutput,
    ),
    Trigger(
        EventType.LAUNCH_PAUSED,
        "Launch Paused",
        "Triggers when a launch rests, with the reason.",
        LaunchOutput,
    ),
)


async def render(ctx: Context, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return each event as one flat object, every key always present; null for what is unknown or erased."""
    syncs = await _syncs(ctx, [one for one in events if one.type in SYNCS])
    created = [one.subject for one in events if one.type is EventType.INVITATION_CREATED]
    invitations = await ctx.ledger.invitations.find_many(created) if created else {}
    launches: dict[str, Launch | None] = {}
    found = []
    for event in events:
        if event.type in SYNCS:
            told = _sync(syncs.get((event.connection, event.subject)), event)
        else:
            invitation = invitations.get(event.subject)
            launch_id = event.subject if invitation is None else invitation.launch_id
            if launch_id not in launches:
                launches[launch_id] = await ctx.ledger.launches.find(launch_id)
            launch = launches[launch_id]
            if event.type is EventType.INVITATION_CREATED:
                told = _invitation(invitation, launch)
            else:
                told = await _launch(ctx, launch, event)
        found.append(_flat({**_head(event), **told}))
    return found


def sample(trigger: Trigger, connection: str) -> dict[str, Any]:
    """Return an event that nobody caused, of the same shape: people are at example.com."""
    event = Event(0, "evt_sample", trigger.name, connection, _SAMPLE_AT, "int_sample", {})
    if trigger.name in SYNCS:
        told = SyncOutput(**flat(_sample_sync(trigger.name, connection))).model_dump(mode="json")
    elif trigger.name is EventType.INVITATION_CREATED:
        told = _invitation(_sample_invitation(connection), _sample_launch(connection))
    else:
        told = _sample_launch_output(trigger.name).model_dump(mode="json")
    return _flat({**_head(event), **told})


def _head(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type.value,
        "timestamp": time_text(event.at),
        "connection": event.connection,
    }


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Add to every list and count of things its text and its length: many tools cannot map them otherwise."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[name] = value
        if isinstance(value, list):
            found.setdefault(f"{name}_text", ", ".join(map(_words, value)))
            found[f"{name}_count"] = len(value)
        elif isinstance(value, dict):
            found[f"{name}_text"] = ", ".join(f"{key} {n}" for key, n in value.items())
            found[f"{name}_count"] = sum(value.values())
    return found


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return next((str(one) for one in value.values() if one is not None), "")
    return str(value)


def _nulls(model: type[BaseModel]) -> dict[str, Any]:
    return {
        **dict.fromkeys(model.model_fields),
        "themes": [],
        "themes_text": "",
        "status": "failed",
        "event_type": "",
    }


async def _syncs(ctx: Context, events: Sequence[Event]) -> dict[tuple[str, str], Sync]:
    found: dict[tuple[str, str], Sync] = {}
    for connection in {one.connection for one in events}:
        ids = [one.subject for one in events if one.connection == connection]
        syncs = await ctx.ledger.syncs.find_many(connection, ids)
        found |= {(connection, interview_id): sync for interview_id, sync in syncs.items()}
    return found


def _sync(sync: Sync | None, event: Event) -> dict[str, Any]:
    fields = {} if sync is None else flat(sync)
    return SyncOutput(**{**_nulls(SyncOutput), **fields, **event.told}).model_dump(mode="json")


def _invitation(invitation: Invitation | None, launch: Launch | None) -> dict[str, Any]:
    about: dict[str, Any] = dict.fromkeys(InvitationTold.model_fields)
    if invitation is not None:
        about |= item(invitation).model_dump(mode="json") | {"launch_id": invitation.launch_id}
    if launch is not None:
        about |= {
            "cohort_id": launch.cohort_id,
            "cohort_name": launch.cohort_name,
            "variant": launch.options.variant,
        }
    return about


async def _launch(ctx: Context, launch: Launch | None, event: Event) -> dict[str, Any]:
    if launch is None:
        nothing: dict[str, Any] = dict.fromkeys(LaunchOutput.model_fields)
        lists: dict[str, Any] = {"warnings": [], "invitations": [], "skipped_examples": [], "skipped": {}}
        return {**nothing, **lists, "launch_id": event.subject}
    output, _ = await shown(ctx, launch)
    told = output.model_dump(mode="json")
    if event.type is EventType.LAUNCH_PAUSED:  # what was so then; it may have gone on since
        told |= {
            "status": "paused",
            "pause_reason": event.told.get("pause_reason"),
            "resumes_at": time_text(event.told.get("resumes_at")),
            "eta_seconds": None,
        }
    return told


def _sample_launch_output(kind: EventType) -> LaunchOutput:
    paused = kind is EventType.LAUNCH_PAUSED
    person = item(_sample_invitation("default"))
    return LaunchOutput.model_validate(
        {
            **dict.fromkeys(LaunchOutput.model_fields),
            "launch_id": "lau_sample",
            "status": "paused" if paused else "finished",
            "pause_reason": "koji_credits" if paused else None,
            "status_url": "https://connector.example.com/actions/get_launch?launch_id=lau_sample",
            "cohort_id": "cohort-1",
            "cohort_name": "Onboarding drop-off",
            "members_total": 5,
            "to_invite": 1,
            "waiting": 0,
            "invited": 1,
            "failed": 0,
            "in_doubt": 0,
            "cancelled": 0,
            "skipped": {"over_limit": 3, "suppressed": 1},
            "credits_estimate": 3,
            "eta_seconds": None if paused else 0,
            "warnings": [],
            "invitations": [person],
            "skipped_examples": [],
        }
    )


def _sample_sync(kind: EventType, connection: str) -> Sync:
    skipped, failed = kind is EventType.INTERVIEW_SKIPPED, kind is EventType.SYNC_FAILED
    status = SyncStatus.SKIPPED if skipped else SyncStatus.FAILED if failed else SyncStatus.SYNCED
    return Sync(
        connection=connection,
        interview_id="int_sample",
        status=status,
        first_received_at=_SAMPLE_AT,
        updated_at=_SAMPLE_AT,
        reason="below_quality_gate" if skipped else "rejected_by_amplitude" if failed else None,
        completed_at=_SAMPLE_AT,
        synced_at=None if skipped or failed else _SAMPLE_AT,
        user_id=None if skipped else "ada@example.com",
        facts=Interview(
            "int_sample",
            ready=True,
            themes=("pricing confusion", "slow import"),
            sentiment="negative",
            quality_score=2.0 if skipped else 4.2,
            transcript_url="https://www.koji.so/interviews/int_sample",
        ),
    )


def _sample_invitation(connection: str) -> Invitation:
    return Invitation(
        id="inv_sample",
        connection=connection,
        launch_id="lau_sample",
        position=0,
        state=InvitationState.STARTED,
        person=0,
        created_at=_SAMPLE_AT,
        updated_at=_SAMPLE_AT,
        user_id="user-42",
        email="ada@example.com",
        name="Ada Example",
        interview_id="int_sample",
        link="https://www.koji.so/interview?external_id=inv_sample",
        started_at=_SAMPLE_AT,
    )


def _sample_launch(connection: str) -> Launch:
    return Launch(
        id="lau_sample",
        connection=connection,
        status=LaunchStatus.RUNNING,
        created_at=_SAMPLE_AT,
        options=LaunchOptions(max_interviews=100, variant="B"),
        goes_on=True,
        cohort_id="cohort-1",
        cohort_name="Onboarding drop-off",
    )
