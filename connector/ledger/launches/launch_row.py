"""Between rows of launches and invitations and the values that the rest of the connector uses."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
    Phase,
)
from connector.ledger.db.bulk import storable
from connector.ledger.db.schema import invitation, launch
from connector.ledger.events import events
from connector.text.json import dumps, loads

_LAUNCH = tuple(one.name for one in fields(Launch))
INVITATION_COLUMNS = {
    "id": "text",
    "connection": "text",
    "launch_id": "text",
    "position": "integer",
    "state": "text",
    "person": "bigint",
    "created_at": "bigint",
    "updated_at": "bigint",
    "taken_at": "bigint",
    "user_id": "text",
    "email": "text",
    "name": "text",
    "interview_id": "text",
    "link": "text",
    "session_token": "text",
    "reason": "text",
    "words": "text",
    "sending_since": "bigint",
    "started_at": "bigint",
    "due": "bigint",
    "polls": "integer",
    "complete_due": "bigint",
}
_STATE_AT = Invitation._fields.index("state")


def dump_launch(one: Launch) -> dict[str, Any]:
    """Return a launch as column values."""
    values = {name: getattr(one, name) for name in _LAUNCH}
    values["options"] = dumps(asdict(one.options))
    values["skipped"] = dumps(dict(one.skipped))
    values["examples"] = dumps(one.examples) if one.examples else None
    return {name: storable(value) for name, value in values.items()}


def load_launch(row: Row[Any]) -> Launch:
    """Return the launch behind a row."""
    values = {name: getattr(row, name) for name in _LAUNCH}
    values["status"] = LaunchStatus(values["status"])
    values["phase"] = None if values["phase"] is None else Phase(values["phase"])
    values["options"] = LaunchOptions(**loads(values["options"]))
    values["skipped"] = loads(values["skipped"])
    values["examples"] = tuple((user_id, reason) for user_id, reason in loads(values["examples"] or "[]"))
    return Launch(**values)


def load_invitation(row: Any) -> Invitation:
    """Return the invitation behind a row of `INVITATION_COLUMNS`."""
    values = list(row)
    values[_STATE_AT] = InvitationState(values[_STATE_AT])
    return Invitation._make(values)


def select_invitations() -> Select[Any]:
    """Begin a query of what `load_invitation` reads."""
    return select(*(invitation.c[name] for name in INVITATION_COLUMNS))


def find_launch(c: Connection, launch_id: str, *, lock: bool = False) -> Launch | None:
    """Return one launch, with `lock` kept for this transaction."""
    query = select(launch).where(launch.c.id == storable(launch_id))
    row = c.execute(query.with_for_update() if lock else query).first()
    return None if row is None else load_launch(row)


def lock_launches(c: Connection, which: ColumnElement[bool]) -> None:
    """Keep launches for this transaction, in the order of their ids (SQLite has one writer anyway)."""
    if c.dialect.name == "postgresql":
        c.execute(select(launch.c.id).where(which).order_by(launch.c.id).with_for_update())


def lock_invitations(c: Connection, which: ColumnElement[bool]) -> None:
    """Keep invitations for this transaction, and their launches before them, in the order of their ids.

    A change of an invitation is counted in its launch, and a change of a launch may touch all its
    invitations: two transactions that lock them in orders of their own would wait for each other.
    """
    if c.dialect.name == "postgresql":
        lock_launches(c, launch.c.id.in_(select(invitation.c.launch_id).where(which)))
        c.execute(select(invitation.c.id).where(which).order_by(invitation.c.id).with_for_update())


def move(c: Connection, launch_id: str, was: str, now: str, n: int = 1) -> None:
    """Count invitations of a launch in the state they are in now."""
    if was != now and n:
        columns = launch.c[was], launch.c[now]
        changed = {columns[0]: columns[0] - n, columns[1]: columns[1] + n}
        c.execute(update(launch).where(launch.c.id == launch_id).values(changed))


def _none_waits() -> ColumnElement[bool]:
    """Tell that a launch has no invitation left to start."""
    return (launch.c.waiting == 0) & (launch.c.sending == 0) & launch.c.phase.is_(None)


def finish(c: Connection, launch_id: str, now: int) -> None:
    """End a launch that has no invitation left to start."""
    done = update(launch).where(
        launch.c.id == launch_id,
        launch.c.status.in_(("running", "paused")),
        ~launch.c.standing,
        _none_waits(),
    )
    if c.execute(done.values(status="finished", finished_at=now, pause_reason=None)).rowcount:
        tell_launch(c, EventType.LAUNCH_FINISHED, launch_id, now)


def tell_launch(
    c: Connection,
    kind: EventType,
    launch_id: str,
    now: int,
    pause_reason: str | None = None,
    resumes_at: int | None = None,
) -> None:
    """Tell that a launch has ended, or is paused and until when (ms; None: until it is resumed)."""
    name = c.execute(select(launch.c.connection).where(launch.c.id == launch_id)).scalar_one()
    told = {"pause_reason": pause_reason, "resumes_at": resumes_at}
    events.tell(c, [events.Happened(kind, name, now, launch_id, told)])
