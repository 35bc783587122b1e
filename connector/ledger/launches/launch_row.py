"""Turn launches and invitations into rows, and rows into them; count, end and announce launches."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.eligibility import SkipReason
from connector.domain.launches.launch import (
    Example,
    Invitation,
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
    Phase,
)
from connector.ledger.db.bulk import storable
from connector.ledger.db.queries import first
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.events import events
from connector.text.json import dumps, loads

PERSONAL = "user_id", "email", "name", "link", "session_token", "message", "complete_due"
"""The columns of an invitation that name a person, or are of use only while it has one."""
_LAUNCH = tuple(field.name for field in fields(Launch))
_STATE_AT = Invitation._fields.index("state")


def dump_launch(of: Launch) -> dict[str, Any]:
    """Return a launch as column values."""
    values = {name: getattr(of, name) for name in _LAUNCH}
    values["options"] = dumps(asdict(of.options))
    values["skipped"] = dumps(dict(of.skipped))
    values["examples"] = dumps(of.examples) if of.examples else None
    values["carried"] = dumps(of.carried) if of.carried else None
    return {name: storable(value) for name, value in values.items()}


def load_launch(row: Row[Any]) -> Launch:
    """Return the launch of a row."""
    values = {name: getattr(row, name) for name in _LAUNCH}
    values["status"] = LaunchStatus(values["status"])
    values["phase"] = None if values["phase"] is None else Phase(values["phase"])
    # launches from before people were drawn kept the cohort's order
    values["options"] = LaunchOptions(**{"sample": "first", **loads(values["options"])})
    values["skipped"] = loads(values["skipped"])
    values["examples"] = tuple(Example(*each) for each in loads(values["examples"] or "[]"))
    values["carried"] = tuple(loads(values["carried"] or "[]"))
    return Launch(**values)


def load_invitation(row: Any) -> Invitation:
    """Return the invitation of a row of `select_invitations`."""
    values = list(row)
    values[_STATE_AT] = InvitationState(values[_STATE_AT])
    return Invitation._make(values)


def select_invitations() -> Select[Any]:
    """Begin a query for `load_invitation`."""
    return select(*(invitation.c[name] for name in Invitation._fields))


def find_launch(c: Connection, launch_id: str, *, lock: bool = False) -> Launch | None:
    """Return one launch, with `lock` locked for this transaction."""
    query = select(launch).where(launch.c.id == storable(launch_id))
    return first(c, query.with_for_update() if lock else query, load_launch)


def lock_launches(c: Connection, which: ColumnElement[bool]) -> None:
    """Lock launches for this transaction, in the order of their ids."""
    if c.dialect.name == "postgresql":
        c.execute(select(launch.c.id).where(which).order_by(launch.c.id).with_for_update())


def lock_invitations(c: Connection, which: ColumnElement[bool]) -> None:
    """Lock launches, then their invitations, for this transaction, in the order of their ids.

    A change of an invitation is counted in its launch, and a change of a launch may touch all its
    invitations: two transactions that lock them in different orders would wait for each other.
    """
    if c.dialect.name == "postgresql":
        lock_launches(c, launch.c.id.in_(select(invitation.c.launch_id).where(which)))
        c.execute(select(invitation.c.id).where(which).order_by(invitation.c.id).with_for_update())


def move(c: Connection, launch_id: str, was: str, now: str, n: int = 1) -> None:
    """Count `n` invitations of a launch in the state `now` instead of the state `was`."""
    if was != now and n:
        columns = launch.c[was], launch.c[now]
        changed = {columns[0]: columns[0] - n, columns[1]: columns[1] + n}
        c.execute(update(launch).where(launch.c.id == launch_id).values(changed))


def skip_planned(c: Connection, launch_id: str, reason: SkipReason, n: int = 1) -> None:
    """Count `n` deleted people of a plan as skipped."""
    row = c.execute(select(launch.c.skipped).where(launch.c.id == launch_id).with_for_update()).one()
    skipped = Counter(loads(row.skipped))
    skipped[reason] += n
    changed = {"planned": launch.c.planned - n, "skipped": dumps(dict(skipped))}
    c.execute(update(launch).where(launch.c.id == launch_id).values(**changed))


def finish(c: Connection, launch_id: str, now: int) -> None:
    """End a launch that has no invitation left to start."""
    done = update(launch).where(
        launch.c.id == launch_id,
        launch.c.status.in_(("running", "paused")),
        ~launch.c.standing,
        launch.c.waiting == 0,
        launch.c.sending == 0,
        launch.c.phase.is_(None),
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
    """Store the event that a launch has ended, or is paused until `resumes_at` (ms; None: until resumed)."""
    name = c.execute(select(launch.c.connection).where(launch.c.id == launch_id)).scalar_one()
    facts = {"pause_reason": pause_reason, "resumes_at": resumes_at}
    events.tell(c, [events.Happened(kind, name, now, launch_id, facts)])
