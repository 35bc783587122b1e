"""The safety net: interviews that were started and never heard of are read, and at last ended or expired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from connector.context import Context, Koji
from connector.domain.launches.launch import Invitation
from connector.domain.launches.start import next_poll
from connector.domain.lease import Lease
from connector.domain.results.transitions import advance
from connector.errors import ConnectorError, CredentialsRejected, NotFound, UpstreamUnavailable
from connector.koji.refusals import SESSION
from connector.service.attribution import read_from_koji
from connector.settings.rules import sync_rules
from connector.workers.koji.pause import PAUSES, KojiPause

_APART = 12_000  # at most five a minute
_TRY_AGAIN = 600_000
_log = structlog.get_logger(__name__)


class FollowUps:
    """Reads and ends silent interviews of one key, at most five calls a minute."""

    def __init__(self, context: Context, connections: Sequence[str], koji: Koji, pause: KojiPause) -> None:
        self._context = context
        self._connections = connections
        self._koji = koji
        self._pause = pause
        self._next = 0

    async def next_due(self) -> int | None:
        """Return when there is something to do."""
        due = await self._context.ledger.invitations.next_due(self._connections)
        if due is None:
            return None
        # far ahead only when the clock was set back
        return max(due, self._next) if self._next <= self._context.clock.now() + _APART else due

    async def step(self, lease: Lease) -> None:
        """Do the one thing that is longest due."""
        ctx = self._context
        now = ctx.clock.now()
        ending = await ctx.ledger.invitations.due(self._connections, now, complete=True)
        silent = await ctx.ledger.invitations.due(self._connections, now, complete=False)
        if ending is None and (silent is None or silent.interview_id is None):
            if silent is not None:  # handed out as a link: there is nothing to read
                await ctx.ledger.invitations.polled(lease, silent.id, None, now)
            return
        self._next = now + _APART
        try:
            if ending is not None:
                await self._end(lease, ending)
            elif silent is not None:
                await self._read(lease, silent)
        except UpstreamUnavailable as error:
            await self._pause.for_silence(error)
        except ConnectorError as error:
            if error.reason not in PAUSES:
                raise
            await self._pause.for_key(error)

    async def _read(self, lease: Lease, invitation: Invitation) -> None:
        ctx = self._context
        interview_id = invitation.interview_id or ""
        if await ctx.ledger.syncs.find(invitation.connection, interview_id) is None:
            try:
                body = await self._koji.read(interview_id)
            except NotFound:
                pass
            else:
                await self._pause.answered()
                if await self._told(lease, invitation, body):
                    return
        await ctx.ledger.invitations.polled(lease, invitation.id, next_poll(invitation), ctx.clock.now())

    async def _told(self, lease: Lease, invitation: Invitation, body: Mapping[str, Any]) -> bool:
        """Take an interview that has ended like one that a webhook told of; tell whether it has."""
        ctx = self._context
        connection = ctx.connection(invitation.connection)
        heard = await read_from_koji(ctx, sync_rules(connection), invitation.interview_id or "", body)
        if not heard.interview.has_ended:
            return False
        await ctx.ledger.syncs.revise(
            [heard.key],
            lambda before, people: [advance(before.get(heard.key), heard, people)],
            lease=lease,
            heard=[heard],
        )
        ctx.wake("amplitude")
        return heard.interview.invitee is not None or heard.interview.anonymous

    async def _end(self, lease: Lease, invitation: Invitation) -> None:
        """End an interview that stayed silent for the time of the setting."""
        ctx = self._context
        interview_id = invitation.interview_id or ""
        try:
            token = ctx.ledger.invitations.session_token(invitation.session_token or "")
            await self._koji.complete(interview_id, token, "timeout")
        except UpstreamUnavailable:
            later = ctx.clock.now() + _TRY_AGAIN
            await ctx.ledger.invitations.completing(lease, invitation.id, later)
            raise
        except CredentialsRejected as error:
            # only a read can tell a refused key from a refused session token
            if error.reason == SESSION:
                await self._koji.read(interview_id)
            elif error.reason in PAUSES:
                _log.warning("complete_not_permitted", code=error.reason)
        except ConnectorError as error:
            _log.warning("silent_interview_not_ended", code=error.reason)
        await ctx.ledger.invitations.completing(lease, invitation.id, None)
