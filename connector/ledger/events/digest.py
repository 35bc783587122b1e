"""The numbers of a week for the digest: counts alone, and no theme of fewer than five interviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from connector.domain.launches.credits import day_of
from connector.domain.launches.launch import InvitationState
from connector.domain.lease import Lease
from connector.domain.results.interview import SyncStatus
from connector.domain.results.tally import LEAST
from connector.ledger.db.repository import Repository, fence, reads, writes
from connector.ledger.db.schema.launches import credit, invitation
from connector.ledger.db.schema.results import counter, sync
from connector.ledger.results.sync_row import load_facts

_THEMES: Final = 5


class Week(NamedTuple):
    """`interviews` by status, the commonest themes with their number of interviews, and how starts went."""

    interviews: Mapping[str, int]
    themes: Sequence[tuple[str, int]]
    invited: int
    completed: int
    credits: int


class Digest(Repository):
    """The weekly digest."""

    @reads
    def of_week(self, c: Connection, connection: str, credit_lane: str, since: int, until: int) -> Week:
        """Return the numbers of a connection for interviews and invitations of a time (ms)."""
        days = day_of(since), day_of(until) - 1
        of_days = counter.c.connection == connection, counter.c.day.between(*days)
        counts = select(counter.c.status, func.sum(counter.c.n)).where(*of_days).group_by(counter.c.status)
        of_time = sync.c.connection == connection, sync.c.first_received_at.between(since, until - 1)
        synced = select(sync.c.facts).where(*of_time, sync.c.status == SyncStatus.SYNCED)
        themes = Counter[str]()
        for facts in c.execute(synced).scalars():
            known = load_facts(facts)
            themes.update({theme.strip().casefold() for theme in known.themes or ()} if known else ())
        of_starts = invitation.c.connection == connection, invitation.c.started_at.between(since, until - 1)
        completed = func.count().filter(invitation.c.state == InvitationState.COMPLETED)
        starts = c.execute(select(func.count(), completed).where(*of_starts)).one()
        spent = select(func.sum(credit.c.n)).where(credit.c.lane == credit_lane, credit.c.day.between(*days))
        return Week(
            {status: int(n) for status, n in c.execute(counts) if n},
            [(theme, n) for theme, n in themes.most_common(_THEMES) if n >= LEAST],
            *starts,
            int(c.execute(spent).scalar() or 0),
        )

    @writes
    def sent(self, c: Connection, lease: Lease, until: int) -> None:
        """Store that the week before a time was sent. Raises `Conflict` when the lease was lost."""
        fence(c, lease, paced_until=until)
