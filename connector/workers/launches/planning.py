"""The planning worker downloads cohorts, and decides which members are invited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from connector.amplitude.cohorts import AmplitudeCohortsClient
from connector.domain.launches.launch import Launch, Phase
from connector.domain.launches.quota import valued
from connector.domain.lease import Fault, Lease
from connector.domain.people.name import PARTS, name_in
from connector.domain.people.properties import carried, property_of, spellings
from connector.domain.people.same_person import Member, member
from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    InvalidInput,
    NotConfigured,
    NotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.service import planning
from connector.workers.base import INTERNAL_ERROR, Worker

_INTERRUPTED_AFTER = 120_000  # ms
_GIVE_UP_AFTER = 3_600_000  # ms
_FIRST_POLL, _LONGEST_POLL = 500, 10_000  # ms
_MINUTE = 60_000  # ms
_FINAL_ERRORS = (NotFound, InvalidInput, NotConfigured, CredentialsRejected, UpstreamRejected)
_log = structlog.get_logger(__name__)


class PlanningWorker(Worker):
    """Plans launches of cohorts, and of member lists too long for one call."""

    name = "launches"

    async def drain(self, lease: Lease, /) -> int | None:
        """Process one step of the first due launch."""
        ctx, now = self._context, self._clock.now()
        following: int | None = None
        for launch in await self._ledger.launches.in_phases(tuple(Phase)):
            if launch.connection not in ctx.settings.connections or ctx.stopping.is_set():
                continue
            due = launch.created_at + _INTERRUPTED_AFTER if launch.phase is Phase.DIRECT else launch.phase_due
            if (due or 0) <= now:
                if fault := await self.attempt(launch.id, launch.connection, self._step(lease, launch)):
                    await self._put_off(lease, launch, fault)
                return 0
            following = min(following or due or now, due or now)
        return None if following is None else max(1, following - now)

    async def _put_off(self, lease: Lease, launch: Launch, fault: Fault) -> None:
        phase = launch.phase or Phase.REQUEST
        if fault.due is not None and phase is not Phase.DIRECT:
            await self._ledger.planning.set_phase(lease, launch.id, phase, due=fault.due)
            return
        message = f"The connector failed to plan this launch ({fault.error}); see its log, then plan again."
        await self._ledger.planning.end_unplanned(lease, launch.id, INTERNAL_ERROR, message, fault.at)

    async def _step(self, lease: Lease, launch: Launch) -> None:
        try:
            match launch.phase:
                case Phase.REQUEST:
                    await self._request(lease, launch)
                case Phase.POLL:
                    await self._poll(lease, launch)
                case Phase.READ:
                    await self._read(lease, launch)
                case Phase.ACTIVATE:
                    await planning.activate(self._context, launch)
                case _:
                    message = "The connector stopped while it decided over the members; send the call again."
                    raise InvalidInput(message, code="interrupted")
        except _FINAL_ERRORS as error:
            await self._end(lease, launch, error)
        except UpstreamUnavailable as error:
            now = self._clock.now()
            if now - launch.created_at > _GIVE_UP_AFTER:
                await self._end(lease, launch, error)
                return
            _log.warning("planning_waits", launch=launch.id, code=error.reason)
            due = now + 1_000 * (error.retry_after or 5)
            phase = launch.phase or Phase.REQUEST
            await self._ledger.planning.set_phase(lease, launch.id, phase, due=due, message=error.message)

    async def _end(self, lease: Lease, launch: Launch, error: ConnectorError) -> None:
        _log.warning("planning_ended", launch=launch.id, code=error.reason)
        now = self._clock.now()
        await self._ledger.planning.end_unplanned(lease, launch.id, error.reason, error.message, now)

    async def _request(self, lease: Lease, launch: Launch) -> None:
        cohorts = self._cohorts(launch)
        cohort = next((c for c in await cohorts.listed() if c.id == launch.cohort_id), None)
        if cohort is not None and (cohort.size or 0) > planning.LARGEST_COHORT:
            message = f"has more than {planning.LARGEST_COHORT:,} people; no download takes as many"
            raise InvalidInput.of("cohort_id", message, code="cohort_too_large")
        await self._keep_quota(launch)
        request_id = await cohorts.request(launch.cohort_id or "", _columns(launch))
        now = self._clock.now()
        await self._ledger.launches.note_download(self._amplitude_lane(launch), now)
        await self._ledger.planning.set_phase(
            lease,
            launch.id,
            Phase.POLL,
            due=now + _FIRST_POLL,
            request_id=request_id,
            cohort_name=cohort.name if cohort else None,
            message="Amplitude prepares the cohort's file; that takes up to a minute or two.",
        )

    async def _keep_quota(self, launch: Launch) -> None:
        """Stay within Amplitude's limits on downloads.

        Raises `UpstreamUnavailable` to wait, and `UpstreamRejected` when the month's downloads are used.
        """
        now = self._clock.now()
        used = await self._ledger.launches.downloads(self._amplitude_lane(launch), now - planning.MONTH)
        if len(used) >= planning.MOST_A_MONTH:
            raise UpstreamRejected(
                f"Amplitude allows {planning.MOST_A_MONTH} cohort downloads a month, and all are used; give "
                "members, or use Amplitude's cohort webhook.",
                code="cohort_quota",
            )
        lately = [at for at in used if at > now - planning.TEN_MINUTES]
        if len(lately) >= planning.MOST_IN_TEN_MINUTES:
            raise UpstreamUnavailable(
                f"Amplitude allows {planning.MOST_IN_TEN_MINUTES} cohort downloads in ten minutes; this "
                "one waits.",
                code="cohort_quota",
                retry_after=max(1, -(-(lately[0] + planning.TEN_MINUTES - now) // 1_000)),
            )

    async def _poll(self, lease: Lease, launch: Launch) -> None:
        set_phase = self._ledger.planning.set_phase
        try:
            ready = await self._cohorts(launch).is_ready(launch.request_id or "")
        except NotFound:
            await set_phase(lease, launch.id, Phase.REQUEST, due=self._clock.now())
            return
        now = self._clock.now()
        age = now - launch.created_at
        if ready:
            await set_phase(lease, launch.id, Phase.READ, due=now, message="")
        elif age > _GIVE_UP_AFTER:
            message = "Amplitude did not finish the cohort's file within an hour; plan again later."
            raise UpstreamRejected(message, code="cohort_job_failed")
        else:
            due = now + min(_LONGEST_POLL, _FIRST_POLL + age // 4)
            await set_phase(lease, launch.id, Phase.POLL, due=due)

    async def _read(self, lease: Lease, launch: Launch) -> None:
        ctx = self._context
        chunks = self._stored(launch) if launch.cohort_id is None else self._file(lease, launch)
        try:
            async with aclosing(chunks):
                planned = await planning.decide(ctx, launch, chunks, lease)
        except NotFound:  # Amplitude keeps a file for 7 days
            await self._ledger.planning.set_phase(lease, launch.id, Phase.REQUEST, due=self._clock.now())
            return
        if planned is not None and planned.phase is Phase.ACTIVATE:
            await planning.activate(ctx, planned)

    async def _stored(self, launch: Launch) -> AsyncGenerator[list[Member], None]:
        position = 0
        while (members := await self._ledger.planning.source(launch.id, position)) is not None:
            yield members
            position += 1

    async def _file(self, lease: Lease, launch: Launch) -> AsyncGenerator[list[Member], None]:
        email, name = launch.options.email_property, launch.options.name_property
        values = _valued_by(launch)
        chunk: list[Member] = []
        rows = self._cohorts(launch).rows(launch.request_id or "", _columns(launch))
        columns: tuple[str, ...] | None = None
        async with aclosing(rows):
            async for some in rows:
                if columns is None:
                    asked = {"user_id", *_columns(launch)}
                    columns = carried([{name: cell for name, cell in some[0].items() if name not in asked}])
                    await self._ledger.planning.set_carried(lease, launch.id, columns)
                chunk += [
                    valued(member(row["user_id"], property_of(row, email), name_in(row, name)), row, *values)
                    for row in some
                ]
                while len(chunk) >= planning.CHUNK:
                    yield chunk[: planning.CHUNK]
                    chunk = chunk[planning.CHUNK :]
        if chunk:
            yield chunk

    def _cohorts(self, launch: Launch) -> AmplitudeCohortsClient:
        cohorts = self._context.amplitude_cohorts.get(launch.connection)
        if cohorts is None:
            raise NotConfigured(
                "AMPLITUDE_API_KEY and AMPLITUDE_SECRET_KEY are not both set; cohorts cannot be downloaded."
            )
        return cohorts

    def _amplitude_lane(self, launch: Launch) -> str:
        return self._context.connection(launch.connection).amplitude_lane or ""


def _columns(launch: Launch) -> list[str]:
    """Return the user properties to ask Amplitude for: e-mail, name, and by which people are counted."""
    options = launch.options
    names = [options.email_property, options.name_property, *filter(None, _valued_by(launch))]
    return list(dict.fromkeys([*(form for name in names for form in spellings(name)), *PARTS]))


def _valued_by(launch: Launch) -> tuple[str | None, str | None]:
    """Return the properties of a launch's quota and segments."""
    quota = launch.options.quota
    return (quota["property"] if quota else None), launch.options.segment_by
