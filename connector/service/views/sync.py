"""Show a sync: as a flat answer, and as the receipt of all that led to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from connector import errors
from connector.context import Context
from connector.domain.results.interview import SyncStatus
from connector.domain.results.koji_fields import unreadable as unreadable_part
from connector.domain.results.mapping import EVENT_TYPE, event_insert_id, identify_insert_id, iso
from connector.domain.results.sync import EVENTS_MISSING, InboundWebhook, Sync
from connector.service.execution.operation import Output
from connector.settings.model import Connection
from connector.text.values import showable

DEFAULT_MIN_ID_LENGTH = 5

_REFUSED = (errors.UpstreamRejected, "Amplitude refused the interview; its words are in get_sync, attempts.")
_SHORT = (
    "Amplitude took fewer events than were sent in both requests with this interview; look whether its event "
    "is there."
)
_UNREAD = "What came in {}. It counts as not given."
_FAILURES: Mapping[str, tuple[type[errors.ConnectorError], str]] = {
    "not_found_in_koji": (
        errors.NotFound,
        "Koji has no such interview in this project; check interview_id and connection.",
    ),
    "invalid_user_id": (
        errors.InvalidInput,
        "Amplitude would refuse the user id: it is a reserved word, or below AMPLITUDE_MIN_ID_LENGTH.",
    ),
    "outcome_unknown": (
        errors.OutcomeUnknown,
        "It is not known whether Amplitude took it; send it again with force, which may count twice.",
    ),
    "internal_error": (
        errors.ConnectorError,
        "The connector itself failed on this interview; see its log and check_connection, then replay_syncs.",
    ),
    "refused_by_koji": (
        errors.UpstreamRejected,
        "Koji refused to show the interview; try preview_interview_sync for Koji's reason.",
    ),
}


class SyncOutput(Output):
    """One interview's way to Amplitude, flat."""

    interview_id: str | None = Field(description="Koji's id of the interview; null when none could be read.")
    status: Literal["synced", "skipped", "pending", "failed", "unreadable"] = Field(
        description="synced: Amplitude has it. skipped: it does not belong there, see reason. pending: on "
        "its way. failed: it could not be delivered, see reason. unreadable: a webhook without an id that we "
        "could find."
    )
    reason: str | None = Field(
        description="Why it was skipped, failed or still waits; null when all is well."
    )
    user_id: str | None = Field(description="The Amplitude user id it is written to; null without one.")
    event_type: str = Field(description="The type of the event in Amplitude.")
    event_insert_id: str | None = Field(
        description="The event's insert_id, by which Amplitude counts it once."
    )
    identify_insert_id: str | None = Field(
        description="The insert_id of the write of user properties; null when a newer interview owns them."
    )
    quality_score: float | None = Field(description="Koji's quality score, 1 to 5.")
    sentiment: str | None = Field(description="positive, negative, neutral or mixed.")
    themes: list[str] = Field(description="Themes in Koji's order.")
    themes_text: str = Field(description="The themes joined with a comma.")
    theme_top_1: str | None = Field(description="The first theme.")
    theme_top_2: str | None = Field(description="The second theme.")
    transcript_url: str | None = Field(description="Where the transcript can be read.")
    completed_at: str | None = Field(description="When the interview was completed, ISO 8601 in UTC.")
    synced_at: str | None = Field(description="When Amplitude accepted it, ISO 8601 in UTC.")
    refusal: str | None = Field(None, description="Amplitude's words, where it refused the interview.")
    warning: str | None = Field(
        None, description="What to know about this answer, such as that it may count twice."
    )

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Name the operation that tells how a pending sync ends."""
        return ("get_sync", {"interview_id": self.interview_id}) if self.status == "pending" else None

    def kept(self) -> SyncOutput:
        """Keep that it was done, and nothing that names or quotes the respondent."""
        said = ("user_id", "quality_score", "sentiment", "theme_top_1", "theme_top_2", "transcript_url")
        gone: dict[str, Any] = {**dict.fromkeys(said), "refusal": None, "themes": [], "themes_text": ""}
        return self.model_copy(update=gone)

    def stands_still(self) -> bool:
        """Tell whether the sync waits for a setting."""
        return self.reason == "not_configured"

    async def raise_failure(self, ctx: Context) -> None:  # noqa: ARG002 - other outputs look it up
        """Raise the error of a failed sync; it carries the sync."""
        if self.status == "failed":
            kind, message = _FAILURES.get(self.reason or "", _REFUSED)
            code = None if issubclass(kind, errors.UpstreamError) else self.reason
            raise kind(message, code=code, result=self.model_dump(mode="json"))


UNKNOWN: Mapping[str, Any] = {**dict.fromkeys(SyncOutput.model_fields), "themes": [], "themes_text": ""}
"""The values of a sync before anything is known."""
UNREADABLE: Mapping[str, Any] = {
    **UNKNOWN,
    "status": "unreadable",
    "reason": "no_interview_id",
    "event_type": EVENT_TYPE,
}
"""The values of a webhook without an interview id."""


class Received(BaseModel):
    """One webhook, call or row that came in about the interview."""

    received_at: str = Field(description="When, ISO 8601 in UTC.")
    source: str = Field(description="webhook, call or backfill.")
    event: str | None = Field(description="The event name that came with it.")
    signature_header: str | None = Field(description="The header whose signature matched.")
    signature_scheme: str | None = Field(description="The scheme of that signature.")
    body: Any = Field(description="What it said; null once it was removed.")


class Attempt(BaseModel):
    """One request to Amplitude that carried the interview."""

    at: str = Field(description="When it was sent, ISO 8601 in UTC.")
    outcome: str = Field(description="accepted, rejected, throttled, unavailable, unknown and so on.")
    status: int | None = Field(None, description="Amplitude's HTTP status; null when none came.")
    words: str | None = Field(None, description="Amplitude's own words.")
    identify: bool | None = Field(None, description="Whether the user properties went along.")


class AmplitudeRequest(BaseModel):
    """A body of Amplitude's HTTP V2 API without its api_key."""

    events: list[dict[str, Any]] = Field(description="Amplitude's events: the $identify, then the event.")
    options: dict[str, Any] | None = Field(
        None, description="Amplitude's options, when they differ from its defaults."
    )


class Receipt(SyncOutput):
    """A sync with everything that led to it."""

    received: list[Received] = Field(description="What came in, oldest first.")
    attempts: list[Attempt] = Field(description="What was sent and answered, oldest first.")
    request: AmplitudeRequest | None = Field(
        description="The body that is or was sent; null when nothing is."
    )

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """End here: reading a receipt starts nothing."""
        return None

    async def raise_failure(self, ctx: Context) -> None:
        """Show a failed sync like any other: reading it succeeded."""


def flat(sync: Sync) -> dict[str, Any]:
    """Return the values of `SyncOutput` for a sync."""
    facts = sync.facts
    themes = list(facts.themes or ()) if facts else []
    sent = sync.event is not None
    identified = sent and _took_identify(sync)
    is_short = sync.status is SyncStatus.SYNCED and sync.reason == EVENTS_MISSING
    return {
        "interview_id": sync.interview_id,
        "status": str(sync.status),
        "reason": None if is_short else sync.reason,
        "refusal": _refusal(sync),
        "warning": _SHORT if is_short else facts.warning if facts and sent else None,
        "user_id": sync.user_id,
        "event_type": EVENT_TYPE,
        "event_insert_id": event_insert_id(sync.interview_id) if sent else None,
        "identify_insert_id": identify_insert_id(sync.interview_id) if identified else None,
        "quality_score": facts.quality_score if facts else None,
        "sentiment": facts.sentiment if facts else None,
        "themes": themes,
        "themes_text": ", ".join(themes),
        "theme_top_1": themes[0] if themes else None,
        "theme_top_2": themes[1] if len(themes) > 1 else None,
        "transcript_url": facts.transcript_url if facts else None,
        "completed_at": time_text(sync.completed_at or (facts.completed_at if facts else None)),
        "synced_at": time_text(sync.synced_at),
    }


def receipt(sync: Sync, webhooks: Sequence[InboundWebhook], connection: Connection) -> Receipt:
    """Return a sync with everything that led to it."""
    bodies = [None if webhook.body is None else json.loads(webhook.body) for webhook in webhooks]
    values = flat(sync)
    for webhook, body in zip(webhooks, bodies, strict=True):
        if body is None:
            continue
        wrong = unreadable_part(body, connection.koji_field_aliases, webhook.received_at)
        lost = [words for field, words in wrong.items() if getattr(sync.facts, field, None) is None]
        values["warning"] = values["warning"] or next(map(_UNREAD.format, lost), None)
    return Receipt(
        **values,
        received=[
            Received(
                received_at=iso(webhook.received_at),
                source=webhook.source,
                event=webhook.event,
                signature_header=webhook.header,
                signature_scheme=webhook.scheme,
                body=showable(body),
            )
            for webhook, body in zip(webhooks, bodies, strict=True)
        ],
        attempts=[Attempt(**{**attempt, "at": iso(attempt["at"])}) for attempt in sync.attempts],
        request=request(sync, connection, identify=_took_identify(sync)),
    )


def request(sync: Sync, connection: Connection, *, identify: bool) -> AmplitudeRequest | None:
    """Return the body of a sync's request."""
    if sync.event is None:
        return None
    parts = [sync.identify] if identify and sync.identify else []
    events = [json.loads(text) for text in (*parts, sync.event)]
    shortest = connection.amplitude_min_id_length
    options = None if shortest == DEFAULT_MIN_ID_LENGTH else {"min_id_length": shortest}
    return AmplitudeRequest(events=events, options=options)


def time_text(millis: int | None) -> str | None:
    """Return a time as ISO 8601, or None."""
    return None if millis is None else iso(millis)


def _refusal(sync: Sync) -> str | None:
    """Return Amplitude's last words on an interview that it refused."""
    if sync.reason != "rejected_by_amplitude":
        return None
    return next((attempt["words"] for attempt in sync.attempts[::-1] if attempt.get("words")), None)


def _took_identify(sync: Sync) -> bool:
    return next((bool(attempt["identify"]) for attempt in sync.attempts[::-1] if "identify" in attempt), True)
