"""Faults: jobs of workers whose last attempt ended in an exception that no code foresaw."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from connector.domain.launches.credits import day_start
from connector.domain.lease import Fault
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.runtime import fault as table


class Faults(Repository):
    """Faults by worker and job."""

    @writes
    def failed(self, c: Connection, fault: Fault) -> None:
        """Store the last failed attempt of a job, to the day: the job may be an anonymous interview."""
        _delete(c, fault.worker, fault.job)
        day = day_start(fault.at)
        stored = fault._replace(at=day, due=None if fault.due is None else day)
        c.execute(insert(table).values(**stored._asdict()))

    @writes
    def succeeded(self, c: Connection, worker: str, job: str) -> None:
        """Delete the fault of a job."""
        _delete(c, worker, job)

    @reads
    def listed(self, c: Connection) -> list[Fault]:
        """Return all faults, those of the newest day first."""
        return [
            Fault(*row) for row in c.execute(select(table).order_by(table.c.at.desc(), table.c.tries.desc()))
        ]


def prune(c: Connection, before: int) -> None:
    """Delete old faults."""
    c.execute(delete(table).where(table.c.at < before))


def _delete(c: Connection, worker: str, job: str) -> None:
    c.execute(delete(table).where(table.c.worker == worker, table.c.job == job))
