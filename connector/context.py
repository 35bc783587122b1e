"""What operations and lanes see of the world: protocols, and the values that cross them.

Adapters implement these; tests swap them for fakes. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from connector.amplitude.responses import Answer
from connector.clock import Clock
from connector.cohort_ports import CohortMessages
from connector.domain.access import AuditEntry, AuditFilter, Claim, Note, Token
from connector.domain.events.callback import Callbacks
from connector.domain.events.event import Hooks
from connector.domain.launches.launch import Cohort, KojiStart
from connector.domain.lease import Lease, Pause
from connector.domain.people.erasure import Forgettings
from connector.domain.results.interview import Stage
from connector.domain.results.run import RunProgress
from connector.domain.results.sync import InboundWebhook, ListFilter, Outgoing, Settlement, Sync
from connector.launch_ports import Invitations, Launches
from connector.security.caller import OURSELVES, Caller
from connector.settings.model import Connection, Settings


class Koji(Protocol):
    """Koji's REST interface, with one project's key."""

    async def read(self, interview_id: str, *, patience: float | None = None) -> Mapping[str, Any]:
        """Return the interview as Koji's JSON object, within the key's budget of calls.

        `patience` marks an interactive call, which waits at most that many seconds for the budget; without it
        the call waits as long as it takes. Raises `NotFound`, `CredentialsRejected`, `UpstreamRejected` or
        `UpstreamUnavailable`.
        """
        ...

    async def turn(self) -> None:
        """Wait for one call of the key's budget, for a start."""
        ...

    async def start(self, body: Mapping[str, Any]) -> KojiStart:
        """Start an interview with the call that `turn` gave.

        Raises `UpstreamUnavailable` when it surely did not happen, `OutcomeUnknown` when nobody knows,
        `CredentialsRejected`, and `UpstreamRejected`, of which `refused_by_koji` is about this one person.
        """
        ...

    async def complete(
        self, interview_id: str, session_token: str, reason: str, *, patience: float | None = None
    ) -> Mapping[str, Any]:
        """End an interview; return Koji's JSON object. Harmless to repeat; `patience` as in `read`.

        Raises as `read`, and `CredentialsRejected` with code `koji_session` when the key or the session token
        is wrong.
        """
        ...


class Amplitude(Protocol):
    """Amplitude's ingestion, with one project's key."""

    async def send(self, events: Sequence[str], user_ids: Sequence[str]) -> Answer:
        """Send events, each already JSON text; `user_ids` name their users. Never raises for the network."""
        ...

    async def probe(self) -> Answer:
        """Tell a good key from a bad one without ingesting anything."""
        ...


class AmplitudeUsers(Protocol):
    """Amplitude's user search, with one project's key and secret."""

    async def search(self, user: str) -> list[str]:
        """Return the user ids that match. Raises `CredentialsRejected` and the other upstream errors."""
        ...


Revise = Callable[[Mapping[tuple[str, str], Sync]], Sequence[Sync]]
HashUser = Callable[[str], str]


class Ledger(Protocol):
    """The one durable book. Every method raises `StoreUnavailable` when the store cannot be used."""

    hash_user: HashUser

    @property
    def forgettings(self) -> Forgettings:
        """The people who are forgotten."""
        ...

    @property
    def hooks(self) -> Hooks:
        """Subscriptions and events."""
        ...

    @property
    def callbacks(self) -> Callbacks:
        """Results that are owed to an address."""
        ...

    async def ping(self) -> None:
        """Do nothing, successfully."""
        ...

    async def accept(self, delivery: InboundWebhook) -> bool:
        """Store what came in; return whether it was new. Returns after the commit."""
        ...

    async def take_new(self, connections: Sequence[str], limit: int) -> list[InboundWebhook]:
        """Return the oldest deliveries of connections that nobody looked at yet."""
        ...

    async def revise(
        self,
        keys: Sequence[tuple[str, str]],
        revise: Revise,
        *,
        lease: Lease | None = None,
        done: Sequence[int] = (),
        record: Sequence[InboundWebhook] = (),
    ) -> list[Sync]:
        """Load syncs by (connection, interview id), store what `revise` makes of them, in one transaction.

        `done` are deliveries that this deals with, `record` new ones that explain it. Raises `Conflict` when
        the lease was lost.
        """
        ...

    async def find_many(self, connection: str, interview_ids: Sequence[str]) -> Mapping[str, Sync]:
        """Return those of a connection's syncs that are there, by interview id."""
        ...

    async def find(self, connection: str, interview_id: str) -> Sync | None:
        """Return one sync."""
        ...

    async def listed(
        self, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Sync]:
        """Return syncs, newest first receipt first, beginning after a (first receipt, interview id)."""
        ...

    async def received(self, connection: str, interview_id: str) -> list[InboundWebhook]:
        """Return what came in about one interview, oldest first."""
        ...

    async def unreadable(
        self, connection: str, *, limit: int, before: int | None = None
    ) -> list[InboundWebhook]:
        """Return deliveries without an interview id that we could find, newest first."""
        ...

    async def reread(self, found: Mapping[int, tuple[str | None, str]]) -> None:
        """Give unreadable deliveries back to the intake: delivery id to (event, interview id)."""
        ...

    async def due_reads(self, connections: Sequence[str], now: int, limit: int) -> list[Sync]:
        """Return syncs for which Koji must be read now, most urgent first."""
        ...

    async def next_due(self, stage: Stage, connections: Sequence[str]) -> int | None:
        """Return when the next sync of a stage is due."""
        ...

    async def waiting(self, stage: Stage, connections: Sequence[str]) -> int:
        """Count the syncs in a stage."""
        ...

    async def begin_send(
        self, lease: Lease, connections: Sequence[str], now: int, limit: int
    ) -> list[Outgoing]:
        """Take due syncs, freeze them and mark them as being sent, in order of completion."""
        ...

    async def is_overtaken(self, connections: Sequence[str], sync: Sync) -> bool:
        """Tell whether a newer interview of the same user, synced or on its way, owns the user properties."""
        ...

    async def settle(
        self, lease: Lease, settlements: Sequence[Settlement], now: int, paced_until: int
    ) -> None:
        """Store what a send led to. Raises `Conflict` when the lease was lost."""
        ...

    async def recover_sends(self, lease: Lease, connections: Sequence[str], now: int) -> int:
        """Mark sends that a dead owner left behind as of unknown outcome; return how many."""
        ...

    async def acquire(self, lane: str, owner: str, now: int, ttl: int) -> Lease | None:
        """Take a lane that nobody holds; None when it is held."""
        ...

    async def renew(self, lease: Lease, now: int, ttl: int) -> Lease | None:
        """Prolong a lease; None when it was lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give a lane back."""
        ...

    async def pause(self, lane: str, until: int, code: str, words: str) -> None:
        """Let a lane rest."""
        ...

    async def resume(self, lane: str) -> bool:
        """End a pause; return whether there was one."""
        ...

    async def pauses(self) -> list[Pause]:
        """Return the lanes that rest, with reasons."""
        ...

    async def take_call(self, key: str, now: int, interval: int, *, interactive: bool) -> int:
        """Take one call of a key's budget: 0 when granted, else milliseconds to wait before asking again."""
        ...

    async def create_run(
        self, run_id: str, connection: str, operation: str, interview_ids: Sequence[str], now: int
    ) -> None:
        """Store a run over many interviews."""
        ...

    async def run_progress(self, run_id: str) -> RunProgress | None:
        """Return how far a run is."""
        ...

    async def release_backfills(self, now: int) -> int:
        """Let held syncs go whose whole backfill was read; return how many."""
        ...

    async def totals(self, connection: str) -> dict[tuple[str, str], int]:
        """Return the counters of a connection: (status, reason) to number of interviews."""
        ...

    async def note(self, connection: str, kind: str, detail: Mapping[str, Any], now: int, keep: int) -> None:
        """Remember something for diagnostics; only the newest `keep` of a kind stay."""
        ...

    async def notes(self, connection: str, kind: str, since: int) -> list[Note]:
        """Return notes, newest first."""
        ...

    async def begin_audit(self, entry: AuditEntry) -> int:
        """Store that an operation begins; return the number of its entry."""
        ...

    async def end_audit(self, number: int, outcome: str, touched: dict[str, str], now: int) -> None:
        """Store how an operation ended, and the ids of what it made."""
        ...

    async def audited(self, connection: str, where: AuditFilter, limit: int) -> list[AuditEntry]:
        """Return entries of the audit log, newest first."""
        ...

    async def latest_webhook(self, connection: str) -> InboundWebhook | None:
        """Return the newest accepted webhook."""
        ...

    async def claim_answer(self, scope: str, key: str, digest: str, now: int) -> Claim:
        """Claim an idempotency key for 60 seconds, or tell its standing."""
        ...

    async def store_answer(
        self, scope: str, key: str, token: str | None, status: int, body: str, now: int
    ) -> None:
        """Store the answer of a claim."""
        ...

    async def release_answer(self, scope: str, key: str, token: str | None) -> None:
        """Give a claim back unanswered."""
        ...

    async def create_token(self, token: Token) -> bool:
        """Store a named token; False when its name was ever used."""
        ...

    async def find_token(self, sha256: str) -> Token | None:
        """Return the token of a digest, revoked or not."""
        ...

    async def tokens(self) -> list[Token]:
        """Return all named tokens by name."""
        ...

    async def revoke_token(self, name: str, now: int) -> bool:
        """End a token; False when there is none of that name."""
        ...

    async def prune(self, before: int, now: int) -> int:
        """Remove bodies, names and addresses older than `before`; return how many rows changed."""
        ...


class AmplitudeCohorts(Protocol):
    """Amplitude's cohorts, with one project's key and secret. Raises the upstream errors."""

    async def listed(self) -> list[Cohort]:
        """Return the cohorts that can be found, without archived and hidden ones."""
        ...

    async def request(self, cohort_id: str, properties: Sequence[str]) -> str:
        """Ask for a cohort's file with these user properties; return the request's id.

        Counts against the limits on downloads. Raises `NotFound` for an unknown cohort.
        """
        ...

    async def is_ready(self, request_id: str) -> bool:
        """Tell whether the file is made. Raises `NotFound` when the request is forgotten."""
        ...

    def rows(self, request_id: str, columns: Sequence[str]) -> AsyncGenerator[list[dict[str, str]], None]:
        """Yield the file's rows piece by piece, each with `user_id` and these columns."""
        ...


class Targets(Protocol):
    """The addresses to which others may let us post."""

    async def require(self, field: str, url: str) -> None:
        """Raise `InvalidInput` on a field whose address cannot be a target."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that an operation may use."""

    settings: Settings
    clock: Clock
    ledger: Ledger
    launches: Launches
    invitations: Invitations
    cohort_messages: CohortMessages
    koji: Mapping[str, Koji]
    amplitude: Mapping[str, Amplitude]
    amplitude_users: Mapping[str, AmplitudeUsers]
    amplitude_elsewhere: Mapping[str, Amplitude]  # the same keys at the other region's address
    amplitude_cohorts: Mapping[str, AmplitudeCohorts]
    targets: Targets
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    wake: Callable[..., None] = lambda *_: (
        None
    )  # takes kinds of lanes: intake, launches, koji, links, amplitude

    caller: Caller = OURSELVES
    request: str | None = None
    """What the request with an idempotency key is known by, the same at each try of it."""

    def connection(self, name: str) -> Connection:
        """Return the settings of a connection that is known to exist."""
        return self.settings.connections[name]

    def same_amplitude(self, name: str) -> tuple[str, ...]:
        """Return the connections that write to the same Amplitude project, this one included."""
        lane = self.connection(name).amplitude_lane
        return tuple(
            c.name
            for c in self.settings.connections.values()
            if c.name == name or (lane and c.amplitude_lane == lane)
        )
