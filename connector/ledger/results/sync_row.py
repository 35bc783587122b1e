"""Turn syncs into rows of the `sync` table, and rows into syncs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.sync import Sync
from connector.ledger.db.bulk import types_of
from connector.ledger.db.schema.results import sync
from connector.text.json import dumps, loads

SYNC_COLUMNS = types_of(sync, *Sync._fields)
ATTEMPTS_KEPT = 20
_AT = {name: position for position, name in enumerate(SYNC_COLUMNS)}
_STATUS_AT, _STAGE_AT, _FACTS_AT, _ATTEMPTS_AT, _PRUNED_AT = (
    _AT[name] for name in ("status", "stage", "facts", "attempts", "pruned_at")
)
_BOOLEANS_AT = tuple(_AT[name] for name, kind in SYNC_COLUMNS.items() if kind == "boolean")
_STATUS = {status.value: status for status in SyncStatus}
_STAGE: Mapping[str | None, Stage | None] = {None: None, **{stage.value: stage for stage in Stage}}


def dump_facts(facts: Interview | None) -> str | None:
    """Return the known fields of an interview as JSON text."""
    return None if facts is None else dumps(facts.known_fields())


def load_facts(text: str | None) -> Interview | None:
    """Return the interview behind JSON text."""
    if text is None:
        return None
    fields = loads(text)
    if "themes" in fields:
        fields["themes"] = tuple(fields["themes"])
    if "structured_answers" in fields:
        fields["structured_answers"] = tuple(map(tuple, fields["structured_answers"]))
    return Interview(**fields)


def dump_attempts(attempts: Sequence[Mapping[str, Any]]) -> str | None:
    """Return attempts as JSON text; of more than 20, the first and the newest."""
    if len(attempts) > ATTEMPTS_KEPT:
        attempts = (*attempts[:1], *attempts[1 - ATTEMPTS_KEPT :])
    return dumps(attempts) if attempts else None


def dump_sync(of: Sync) -> list[Any]:
    """Return a sync as values in the order of `SYNC_COLUMNS`."""
    values: list[Any] = list(of)
    values[_FACTS_AT] = dump_facts(of.facts)
    values[_ATTEMPTS_AT] = dump_attempts(of.attempts)
    if of.facts is not None:
        values[_PRUNED_AT] = None  # an interview of which something is known again must be pruned again
    return values


def load_sync(row: Sequence[Any]) -> Sync:
    """Return the sync of a row that begins with `SYNC_COLUMNS`."""
    values = list(row[: len(SYNC_COLUMNS)])
    values[_STATUS_AT] = _STATUS[values[_STATUS_AT]]
    values[_STAGE_AT] = _STAGE[values[_STAGE_AT]]
    values[_FACTS_AT] = load_facts(values[_FACTS_AT])
    values[_ATTEMPTS_AT] = tuple(loads(values[_ATTEMPTS_AT] or "[]"))
    for at in _BOOLEANS_AT:
        values[at] = bool(values[at])
    return Sync._make(values)
