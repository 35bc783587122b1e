"""Between rows of the `sync` table and the values that the rest of the connector uses."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from connector.models import Interview, Stage, SyncStatus
from connector.ports import Sync

SYNC_COLUMNS = {
    "connection": "text",
    "interview_id": "text",
    "status": "text",
    "reason": "text",
    "stage": "text",
    "due": "bigint",
    "first_received_at": "bigint",
    "updated_at": "bigint",
    "completed_at": "bigint",
    "synced_at": "bigint",
    "facts": "text",
    "user_id": "text",
    "user_hash": "text",
    "identify": "text",
    "event": "text",
    "given": "boolean",
    "reads": "integer",
    "tries": "integer",
    "frozen_at": "bigint",
    "sending_since": "bigint",
    "unknown_since": "bigint",
    "attempts": "text",
    "run_id": "text",
    "backfill": "boolean",
    "force": "boolean",
    "pruned_at": "bigint",
}

_FACTS = tuple((f.name, f.default) for f in fields(Interview))


def dump_facts(facts: Interview | None) -> str | None:
    """Return what is known of an interview as JSON text, without what is not."""
    if facts is None:
        return None
    told = {name: value for name, default in _FACTS if (value := getattr(facts, name)) != default}
    return json.dumps(told, separators=(",", ":"))


def load_facts(text: str | None) -> Interview | None:
    """Return the interview behind JSON text."""
    if text is None:
        return None
    told = json.loads(text)
    if "themes" in told:
        told["themes"] = tuple(told["themes"])
    return Interview(**told)


def dump_attempts(attempts: tuple[Any, ...]) -> str | None:
    """Return attempts as JSON text."""
    return json.dumps(attempts, separators=(",", ":")) if attempts else None


def dump_sync(sync: Sync) -> tuple[Any, ...]:
    """Return a sync as values in the order of `SYNC_COLUMNS`."""
    return (
        sync.connection,
        sync.interview_id,
        sync.status,
        sync.reason,
        sync.stage,
        sync.due,
        sync.first_received_at,
        sync.updated_at,
        sync.completed_at,
        sync.synced_at,
        dump_facts(sync.facts),
        sync.user_id,
        sync.user_hash,
        sync.identify,
        sync.event,
        sync.given,
        sync.reads,
        sync.tries,
        sync.frozen_at,
        sync.sending_since,
        sync.unknown_since,
        dump_attempts(sync.attempts),
        sync.run_id,
        sync.backfill,
        sync.force,
        sync.pruned_at,
    )


def load_sync(row: Row[Any]) -> Sync:
    """Return the sync behind a row."""
    return Sync(
        connection=row.connection,
        interview_id=row.interview_id,
        status=SyncStatus(row.status),
        reason=row.reason,
        stage=None if row.stage is None else Stage(row.stage),
        due=row.due,
        first_received_at=row.first_received_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        synced_at=row.synced_at,
        facts=load_facts(row.facts),
        user_id=row.user_id,
        user_hash=row.user_hash,
        identify=row.identify,
        event=row.event,
        given=bool(row.given),
        reads=row.reads,
        tries=row.tries,
        frozen_at=row.frozen_at,
        sending_since=row.sending_since,
        unknown_since=row.unknown_since,
        attempts=tuple(json.loads(row.attempts)) if row.attempts else (),
        run_id=row.run_id,
        backfill=bool(row.backfill),
        force=bool(row.force),
        pruned_at=row.pruned_at,
    )
