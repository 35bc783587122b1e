"""List the triggers, and show an event as hooks, polls and samples all show it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.events.event import Event, EventType
from connector.domain.launches.launch import Invitation, Launch
from connector.domain.lease import PAUSE_MESSAGES
from connector.domain.results.decision import ANONYMOUS
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import Sync
from connector.service.views import examples
from connector.service.views.launch import (
    InvitationItem,
    LaunchOutput,
    SampleOutput,
    item_of,
    opt_out_link,
    shown,
    with_link,
)
from connector.service.views.sync import UNKNOWN, SyncOutput, flat, time_text

_SAMPLED = {
    EventType.INTERVIEW_SYNCED: SyncStatus.SYNCED,
    EventType.INTERVIEW_SKIPPED: SyncStatus.SKIPPED,
    EventType.SYNC_FAILED: SyncStatus.FAILED,
}
SYNCS = frozenset(_SAMPLED)
_NAMES_OF_INTERVIEW = ("interview_id", "event_insert_id", "identify_insert_id", "transcript_url")
_OF_INVITATIONS = frozenset({EventType.INVITATION_CREATED, EventType.PERSON_OPTED_OUT})
_OF_CONNECTIONS = frozenset({EventType.CONNECTION_PAUSED, EventType.CONNECTION_RESUMED})


class InvitationEvent(InvitationItem):
    """An invitation with the launch that it belongs to."""

    launch_id: str
    cohort_id: str | None
    cohort_name: str | None
    variant: str | None


class OptOutEvent(BaseModel):
    """A person who said no to all invitations."""

    user_id: str | None = Field(description="The person's Amplitude user id; null when unknown or removed.")
    email: str | None = Field(description="The person's e-mail; null when unknown or removed.")


class ConnectionEvent(BaseModel):
    """A pause of a connection's calls, or its end."""

    reason: str = Field(description=f"One of {', '.join(PAUSE_MESSAGES)}.")
    message: str = Field(description="What happened and what to do.")
    since: str = Field(description="When the pause began, ISO 8601.")


@dataclass(frozen=True, slots=True)
class Trigger:
    """One type of event that people choose. `output` has the fields beside those of every event."""

    name: EventType
    description: str
    output: type[BaseModel]

    @property
    def title(self) -> str:
        """Return the name as people read it, such as Interview Synced."""
        return self.name.replace("_", " ").title()


TRIGGERS: tuple[Trigger, ...] = (
    Trigger(EventType.INTERVIEW_SYNCED, "Triggers when Amplitude has accepted an interview.", SyncOutput),
    Trigger(
        EventType.INTERVIEW_SKIPPED,
        "Triggers when an interview is not written to Amplitude, with the reason.",
        SyncOutput,
    ),
    Trigger(
        EventType.SYNC_FAILED, "Triggers when an interview could not be written to Amplitude.", SyncOutput
    ),
    Trigger(
        EventType.INVITATION_CREATED,
        "Triggers when a person has an interview link: the next step is to send it.",
        InvitationEvent,
    ),
    Trigger(EventType.LAUNCH_FINISHED, "Triggers when a launch has no more people to start.", LaunchOutput),
    Trigger(EventType.LAUNCH_PAUSED, "Triggers when a launch is paused, with the reason.", LaunchOutput),
    Trigger(
        EventType.PERSON_OPTED_OUT,
        "Triggers when an invited person says no to all invitations: ask this person nothing more.",
        OptOutEvent,
    ),
    Trigger(
        EventType.CONNECTION_PAUSED,
        "Triggers when Koji or Amplitude refuses a key, or Koji is out of reach for 10 minutes.",
        ConnectionEvent,
    ),
    Trigger(EventType.CONNECTION_RESUMED, "Triggers when a paused connection works again.", ConnectionEvent),
)


async def render(ctx: Context, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return each event as one flat object, every key always present; null for what is unknown or erased."""
    syncs = await _syncs(ctx, [event for event in events if event.type in SYNCS])
    created = [event.subject for event in events if event.type in _OF_INVITATIONS]
    invitations = await ctx.ledger.invitations.find_many(created) if created else {}
    launches: dict[str, Launch | None] = {}
    rendered = []
    for event in events:
        if event.type in SYNCS:
            fields = _sync(syncs.get((event.connection, event.subject)), event)
        elif event.type in _OF_CONNECTIONS:
            fields = _pause(event)
        elif event.type is EventType.PERSON_OPTED_OUT:
            fields = _opt_out(invitations.get(event.subject))
        else:
            invitation = invitations.get(event.subject)
            launch_id = event.subject if invitation is None else invitation.launch_id
            if launch_id not in launches:
                launches[launch_id] = await ctx.ledger.launches.find(launch_id)
            launch = launches[launch_id]
            if event.type is EventType.INVITATION_CREATED:
                shown_ = None if invitation is None else with_link(ctx, launch, invitation)
                opt_out = None if invitation is None else opt_out_link(ctx, invitation)
                fields = _invitation(shown_, opt_out, launch)
            else:
                fields = await _launch(ctx, launch, event)
        rendered.append(_flat({**_head(event), **fields}))
    return rendered


def sample(trigger: Trigger, connection: str) -> dict[str, Any]:
    """Return a made-up event of the same shape."""
    event = Event(0, "evt_sample", trigger.name, connection, examples.AT_MS, examples.INTERVIEW_ID, {})
    if trigger.name in SYNCS:
        sync = examples.sync(connection, _SAMPLED[trigger.name])
        fields = SyncOutput(**flat(sync)).model_dump(mode="json")
    elif trigger.name is EventType.INVITATION_CREATED:
        invitation = examples.invitation(connection)
        fields = _invitation(invitation, examples.OPT_OUT_LINK, examples.launch(connection))
    elif trigger.name is EventType.PERSON_OPTED_OUT:
        fields = _opt_out(examples.invitation(connection))
    elif trigger.name in _OF_CONNECTIONS:
        payload = {"reason": "koji_key", "since": examples.AT_MS}
        fields = _pause(event._replace(subject="koji", payload=payload))
    else:
        fields = examples.PAUSED if trigger.name is EventType.LAUNCH_PAUSED else examples.LAUNCH
    return _flat({**_head(event), **fields})


def _head(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type.value,
        "timestamp": time_text(event.at),
        "connection": event.connection,
    }


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Add to every list and table of counts its text and its length: many tools cannot map them otherwise."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        fields[name] = value
        if isinstance(value, list):
            fields.setdefault(f"{name}_text", ", ".join(map(_text, value)))
            fields[f"{name}_count"] = len(value)
        elif name == "sample":
            fields |= {f"sample_{key}": part for key, part in value.items()}
        elif isinstance(value, dict):
            fields[f"{name}_text"] = ", ".join(f"{key} {n}" for key, n in value.items())
            fields[f"{name}_count"] = sum(value.values())
    return fields


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return next((str(part) for part in value.values() if part is not None), "")
    return str(value)


async def _syncs(ctx: Context, events: Sequence[Event]) -> dict[tuple[str, str], Sync]:
    subjects = defaultdict[str, list[str]](list)
    for event in events:
        subjects[event.connection].append(event.subject)
    return {
        (connection, interview_id): sync
        for connection, ids in subjects.items()
        for interview_id, sync in (await ctx.ledger.syncs.find_many(connection, ids)).items()
    }


def _sync(sync: Sync | None, event: Event) -> dict[str, Any]:
    fields = {} if sync is None else flat(sync)
    unknown = {**UNKNOWN, "status": "failed", "event_type": ""}
    shown = SyncOutput(**{**unknown, **fields, **event.payload}).model_dump(mode="json")
    if shown["reason"] == ANONYMOUS:  # a receiver may have kept whose interview had this id
        shown |= dict.fromkeys(_NAMES_OF_INTERVIEW)
    return shown


def _pause(event: Event) -> dict[str, Any]:
    reason, message = event.payload["reason"], PAUSE_MESSAGES[event.payload["reason"]]
    if event.type is EventType.CONNECTION_RESUMED:
        message = f"Calls to {event.subject.title()} are accepted again."
    return {"reason": reason, "message": message, "since": time_text(event.payload["since"])}


def _opt_out(invitation: Invitation | None) -> dict[str, Any]:
    return {name: getattr(invitation, name, None) for name in OptOutEvent.model_fields}


def _invitation(invitation: Invitation | None, opt_out: str | None, launch: Launch | None) -> dict[str, Any]:
    about: dict[str, Any] = dict.fromkeys(InvitationEvent.model_fields)
    if invitation is not None:
        about |= item_of(invitation, opt_out).model_dump(mode="json") | {"launch_id": invitation.launch_id}
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
        lists |= {"quota_cells": [], "segments": []}
        lists["sample"] = dict.fromkeys(SampleOutput.model_fields)
        return {**nothing, **lists, "launch_id": event.subject}
    fields = (await shown(ctx, launch)).model_dump(mode="json")
    fields["resume_token"] = None  # it stands for a person's yes
    if event.type is EventType.LAUNCH_PAUSED:  # the pause as it was then; the launch may have gone on since
        fields |= {
            "status": "paused",
            "pause_reason": event.payload.get("pause_reason"),
            "resumes_at": time_text(event.payload.get("resumes_at")),
            "eta_seconds": None,
        }
    return fields
