"""What must be true of a ledger and of both services once the work is done, whatever happened on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select, true

from connector.domain.launches.launch import InvitationState
from connector.ledger.db.dialect import reader_engine
from connector.ledger.db.schema import metadata
from connector.ledger.db.schema.events import callback, event, hook, hook_delivery
from connector.ledger.db.schema.launches import cohort_message, credit, invitation, launch
from connector.ledger.db.schema.people import erasure
from connector.ledger.db.schema.results import counter, inbox, run_source, sync, tally
from connector.ledger.db.schema.runtime import fault

DAY = 86_400_000
COUNTED = [str(state) for state in InvitationState if state is not InvitationState.HOLDOUT]
_SPENT = ("started", "completed", "expired", "in_doubt")
_OPEN: dict[str, tuple[Table, ColumnElement[bool]]] = {
    "webhooks that the intake did not read": (inbox, inbox.c.state == "new"),
    "interviews on their way": (sync, sync.c.stage.is_not(None) | sync.c.sending_since.is_not(None)),
    "starts": (invitation, invitation.c.state.in_(("waiting", "sending"))),
    "starts without a stored answer": (invitation, invitation.c.sending_since.is_not(None)),
    # one that a call decides over ends with the call; two minutes later where the call was cut off
    "launches in planning": (launch, launch.c.phase.is_not(None) & (launch.c.phase != "direct")),
    "cohort messages": (cohort_message, cohort_message.c.stage != "done"),
    "deliveries to hooks": (hook_delivery, hook_delivery.c.due.is_not(None)),
    "callbacks": (callback, true()),
    "erasures": (erasure, erasure.c.finished_at.is_(None)),
    "chunks of runs": (run_source, true()),
    "failed jobs": (fault, true()),
}


def open_work(c: Connection) -> dict[str, int]:
    """Count what is not done yet, by its kind."""
    counted = {
        kind: c.execute(select(func.count()).select_from(table).where(which)).scalar_one()
        for kind, (table, which) in _OPEN.items()
    }
    return {kind: n for kind, n in counted.items() if n}


def counters_are_true(c: Connection) -> None:
    """Compare every stored number with the rows that it counts."""
    day = sync.c.first_received_at.op("/")(DAY)
    of_syncs = sync.c.connection, day, sync.c.status, func.coalesce(sync.c.reason, "")
    syncs = {tuple(key): n for *key, n in c.execute(select(*of_syncs, func.count()).group_by(*of_syncs))}
    columns = counter.c.connection, counter.c.day, counter.c.status, counter.c.reason, counter.c.n
    assert {tuple(key): n for *key, n in c.execute(select(*columns).where(counter.c.n != 0))} == syncs
    of_launches = invitation.c.launch_id, invitation.c.state
    states: dict[str, Counter[str]] = {}
    for launch_id, state, n in c.execute(select(*of_launches, func.count()).group_by(*of_launches)):
        states.setdefault(launch_id, Counter())[state] = n
    for row in c.execute(select(launch)):
        seen = {name: getattr(row, name) for name in COUNTED}
        found = states.pop(row.id, Counter())
        assert seen == {name: found[name] for name in COUNTED}, row.id
    assert states == {}, "invitations of no launch"
    synced = c.execute(select(func.count()).where(sync.c.status == "synced")).scalar_one()
    days = (tally.c.kind == "interview") & (tally.c.days == 1)
    interviews = select(func.coalesce(func.sum(tally.c.n), 0)).where(days)
    assert c.execute(interviews).scalar_one() <= synced


def credits_are_true(c: Connection, price: int) -> int:
    """Compare the spent credits with the starts that Koji may charge for; return these."""
    given_up = (invitation.c.state == "failed") & (invitation.c.reason == "outcome_unknown")
    charged = invitation.c.state.in_(_SPENT) | given_up
    starts: int = c.execute(select(func.count()).select_from(invitation).where(charged)).scalar_one()
    assert spent(c) == price * starts
    return starts


def spent(c: Connection) -> int:
    """Return the credits that starts spent on all days."""
    return int(c.execute(select(func.coalesce(func.sum(credit.c.n), 0))).scalar_one())


def in_doubt(c: Connection) -> list[str]:
    """Return the addresses of people of whom it is not known whether they were started."""
    doubtful = select(invitation.c.email).where(invitation.c.state == "in_doubt")
    return list(c.execute(doubtful).scalars())


def each_counts_once_or_is_parked(
    c: Connection, counted: Mapping[str, int], acknowledged: Collection[str]
) -> int:
    """Check all interviews against how often each counts in Amplitude; return how many are parked.

    All that were acknowledged must be there, and each that is parked has a reason.
    """
    assert max(counted.values(), default=1) == 1, "an interview counts twice"
    rows = {row.interview_id: row for row in c.execute(select(sync))}
    assert set(acknowledged) <= rows.keys(), "an acknowledged webhook is lost"
    parked = 0
    for interview_id, row in rows.items():
        if row.status == "synced":
            assert counted[interview_id] == 1, interview_id
        else:
            parked += 1
            assert row.reason, interview_id
            assert row.status in {"skipped", "failed"}
    return parked


def every_event_is_delivered(c: Connection) -> set[str]:
    """Check that each event reached each of its subscribers; return the ids of these events.

    Every subscription is older than every event of its type.
    """
    told = hook.c.event == event.c.type, hook.c.connection == event.c.connection
    owed = c.execute(select(event.c.id, hook.c.id).join(hook, told[0] & told[1])).all()
    delivered = select(event.c.id, hook_delivery.c.hook_id).join(
        event, event.c.number == hook_delivery.c.event_number
    )
    got = Counter(map(tuple, c.execute(delivered.where(hook_delivery.c.state == "delivered"))))
    assert got == Counter(map(tuple, owed)), "an event did not reach a subscriber, or was to reach it twice"
    return {event_id for event_id, _ in owed}


def nothing_names(c: Connection, *names: str) -> None:
    """Check that no column of any table holds one of these texts."""
    for table in metadata.sorted_tables:
        for row in c.execute(select(table)):
            held = repr(tuple(row)).casefold()
            assert not [name for name in names if name in held], table.name


class Truth:
    """One database that is looked at from outside."""

    def __init__(self, url: str) -> None:
        self._engine = reader_engine(url, 1)

    def ask(self, question: Any, *rest: Any) -> Any:
        """Return the answer of a function over a database connection."""
        with self._engine.connect() as c:
            return question(c, *rest)

    def close(self) -> None:
        self._engine.dispose()
