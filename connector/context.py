"""What operations and workers see: the context, and the ports that have a second implementation.

Adapters implement the ports; tests swap them for fakes. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from connector.amplitude.responses import Answer
from connector.clock import Clock
from connector.domain.launches.launch import KojiStart
from connector.domain.trusted_time import TrustedTime
from connector.security.caller import OURSELVES, Caller
from connector.settings.model import Connection, Settings
from connector.tracing import Trace, off

if TYPE_CHECKING:  # a command that only shows its help opens no database, and calls no upstream
    from connector.amplitude.cohorts import AmplitudeCohortsClient
    from connector.amplitude.users import AmplitudeUsersClient
    from connector.ledger.ledger import Ledger
    from connector.net.target_client import Targets


class Koji(Protocol):
    """Koji's REST interface, with one project's key."""

    async def read(
        self, interview_id: str, *, patience: float | None = None, fresh: bool = False
    ) -> Mapping[str, Any]:
        """Return the interview as Koji's JSON object, within the key's rate limit.

        `patience` marks an interactive call, which waits at most that many seconds for its turn. Without it
        the call waits as long as it takes. Raises `NotFound`, `CredentialsRejected`, `UpstreamRejected` or
        `UpstreamUnavailable`.
        """

    async def turn(self) -> None:
        """Wait until the key's rate limit allows one call, for a start."""

    async def start(self, body: Mapping[str, Any]) -> KojiStart:
        """Start an interview with the call that `turn` gave.

        Raises `UpstreamUnavailable` when it surely did not happen, `OutcomeUnknown` when that is not known,
        `CredentialsRejected`, and `UpstreamRejected`, of which `refused_by_koji` is about this one person.
        """

    async def complete(
        self, interview_id: str, session_token: str, reason: str, *, patience: float | None = None
    ) -> Mapping[str, Any]:
        """End an interview; return Koji's JSON object. Harmless to repeat; `patience` as in `read`.

        Raises as `read`, and `CredentialsRejected` with code `koji_session` when the key or the session token
        is wrong.
        """


class Amplitude(Protocol):
    """Amplitude's ingestion, with one project's key."""

    async def send(self, events: Sequence[str], user_ids: Sequence[str]) -> Answer:
        """Send events, each already JSON text; `user_ids` name their users. Never raises for the network."""

    async def probe(self) -> Answer:
        """Tell a good key from a bad one without ingesting anything."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that an operation may use."""

    settings: Settings
    clock: Clock
    ledger: Ledger
    koji: Mapping[str, Koji]
    amplitude: Mapping[str, Amplitude]
    amplitude_users: Mapping[str, AmplitudeUsersClient]
    amplitude_elsewhere: Mapping[str, Amplitude]  # the same keys at the other region's address
    amplitude_cohorts: Mapping[str, AmplitudeCohortsClient]
    targets: Targets
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    wake: Callable[..., None] = lambda *_: None
    """Takes kinds of workers: intake, launches, koji, links, amplitude; all of them without any."""

    trusted: TrustedTime = field(default_factory=lambda: TrustedTime(None))
    trace: Trace = off
    caller: Caller = OURSELVES
    since: int | None = None
    """When the call came in (ms): it waits from then on."""

    request: str | None = None
    """Names a request that has an idempotency key; each try of the request has the same name."""

    def connection(self, name: str) -> Connection:
        """Return the settings of a connection that is known to exist."""
        return self.settings.connections[name]

    def trusted_now(self) -> int | None:
        """Return the present (ms) as far as a clock that never jumps confirms it; see `TrustedTime`."""
        return self.trusted.now(self.clock.now(), self.clock.elapsed())

    def same_amplitude(self, name: str) -> tuple[str, ...]:
        """Return the connections that write to the same Amplitude project, this one included."""
        lane = self.connection(name).amplitude_lane
        return tuple(
            c.name
            for c in self.settings.connections.values()
            if c.name == name or (lane and c.amplitude_lane == lane)
        )
