"""The body of each of Koji's webhooks.

Koji's documents name what a payload holds but print none: the keys are those that its prose uses.
"""

from __future__ import annotations

import json
from typing import Any

from connector.sandbox.koji.store import (
    Interview,
    KojiStore,
    iso,
    transcript_url,
)
from connector.sandbox.options import WebhookEndpoint


def event_body(
    store: KojiStore,
    interview: Interview,
    event: str,
    endpoint: WebhookEndpoint,
    *,
    delivery_id: str,
    now: float,
) -> bytes:
    """Write the body of one event in the endpoint's envelope; `now` is epoch seconds."""
    fields: dict[str, Any] = {"interview_id": interview.interview_id}
    if endpoint.payload == "full":
        fields.update(_full_fields(store, interview, event))
    if endpoint.envelope == "data":
        body = {"id": delivery_id, "type": event, "created_at": iso(now), "data": fields}
    else:
        body = {"event": event, "timestamp": iso(now), **fields}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _full_fields(store: KojiStore, interview: Interview, event: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "project_id": store.project_id,
        "respondent_email": None if interview.anonymous else interview.email,
        "mode": interview.mode,
        "status": "completed",
        "completed_at": iso(interview.completed_at or 0.0),
        "stats": store.stats(interview),
    }
    if interview.anonymous:
        fields["anonymous"] = True
    elif interview.external_id is not None:
        fields["external_id"] = interview.external_id
    if event != "interview.completed" and interview.result.quality_score is not None:
        fields.update(store.analysis(interview), transcript_url=transcript_url(interview))
    return fields
