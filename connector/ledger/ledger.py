"""The ledger: everything that must outlive the process, with one repository for each subject."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy import text

from connector.ledger.access import secrets
from connector.ledger.access.audit import Audit
from connector.ledger.access.console_sessions import ConsoleSessions
from connector.ledger.access.grants import Grants
from connector.ledger.access.idempotency import Idempotency
from connector.ledger.access.tokens import Tokens
from connector.ledger.db import migrations
from connector.ledger.db.database import Database
from connector.ledger.db.dialect import touch
from connector.ledger.events.alerts import Alerts
from connector.ledger.events.callbacks import Callbacks
from connector.ledger.events.digest import Digest
from connector.ledger.events.hooks import Hooks
from connector.ledger.launches.attribution import Attribution
from connector.ledger.launches.cohort_inbox import CohortInbox
from connector.ledger.launches.cohort_members import CohortMembers
from connector.ledger.launches.invitations import Invitations
from connector.ledger.launches.launches import Launches
from connector.ledger.launches.pauses import LaunchPauses
from connector.ledger.launches.planning import Planning
from connector.ledger.launches.waves import Waves
from connector.ledger.people.aliases import Aliases
from connector.ledger.people.erasure import Erasures
from connector.ledger.people.person import Persons
from connector.ledger.people.register import Register
from connector.ledger.people.respondents import Respondents
from connector.ledger.people.scatter import Scatter
from connector.ledger.results import inbox
from connector.ledger.results.counters import Counters
from connector.ledger.results.inbox import Inbox
from connector.ledger.results.runs import Runs
from connector.ledger.results.sending import Sending
from connector.ledger.results.syncs import Syncs
from connector.ledger.results.tallies import Tallies
from connector.ledger.runtime.backlog import Backlog
from connector.ledger.runtime.connection_pauses import ConnectionPauses
from connector.ledger.runtime.diagnostics import Diagnostics
from connector.ledger.runtime.faults import Faults
from connector.ledger.runtime.leases import Leases
from connector.ledger.runtime.overdue import Overdue
from connector.ledger.runtime.rate_limit import RateLimit
from connector.ledger.runtime.retention import Retention
from connector.security.sealing import Sealer


class Ledger:
    """The repositories of one database. Open it with `open_ledger`; close it before the event loop ends."""

    def __init__(self, db: Database, keys: secrets.Keys) -> None:
        self.db = db
        self.close = db.close
        self.plan_key = keys.plan
        self.keyed_hash = keys.keyed_hash
        self.seal = keys.seal
        self.unseal = keys.open
        # results
        self.inbox = Inbox(db, keys)
        self.syncs = Syncs(db, keys)
        self.sending = Sending(db, keys)
        self.counters = Counters(db, keys)
        self.tallies = Tallies(db, keys)
        self.runs = Runs(db, keys)
        # launches
        self.launches = Launches(db, keys)
        self.planning = Planning(db, keys)
        self.invitations = Invitations(db, keys)
        self.attribution = Attribution(db, keys)
        self.launch_pauses = LaunchPauses(db, keys)
        self.waves = Waves(db, keys)
        self.cohort_inbox = CohortInbox(db, keys)
        self.cohort_members = CohortMembers(db, keys)
        # people
        self.aliases = Aliases(db, keys)
        self.persons = Persons(db, keys)
        self.register = Register(db, keys)
        self.respondents = Respondents(db, keys)
        self.erasures = Erasures(db, keys)
        # events
        self.hooks = Hooks(db, keys)
        self.callbacks = Callbacks(db, keys)
        self.alerts = Alerts(db, keys)
        self.digest = Digest(db, keys)
        # access
        self.tokens = Tokens(db, keys)
        self.console_sessions = ConsoleSessions(db, keys)
        self.grants = Grants(db, keys)
        self.audit = Audit(db, keys)
        self.idempotency = Idempotency(db, keys)
        # runtime
        self.leases = Leases(db, keys)
        self.backlog = Backlog(db, keys)
        self.connection_pauses = ConnectionPauses(db, keys)
        self.rate_limit = RateLimit(db, keys)
        self.diagnostics = Diagnostics(db, keys)
        self.faults = Faults(db, keys)
        self.retention = Retention(db, keys)
        self.scatter = Scatter(db, keys)
        self.overdue = Overdue(db, keys)

    async def ping(self) -> None:
        """Read from the database, and begin to write to every table. Raises `LedgerUnavailable`."""
        await self.db.read(lambda c: c.execute(text("SELECT 1")).scalar_one())
        await self.db.write(touch)


async def open_ledger(database_url: str, sealer: Sealer) -> Ledger:
    """Open the ledger of a URL, after its schema is upgraded; its keys are made at the first start.

    Raises `SettingsError` for a database that this program cannot use, `NotConfigured` for a lost key.
    """
    await asyncio.to_thread(migrations.migrate, database_url)
    db = Database(database_url, inbox.accept)
    try:
        return Ledger(db, await db.write(lambda c: secrets.obtain(c, sealer), patient=True))
    except BaseException:
        with suppress(Exception):
            await db.close()
        raise
