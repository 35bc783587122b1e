"""Follow up on started interviews that Koji does not report: read, and at last end or expire them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from connector.domain.launches.launch import Invitation
from connector.domain.launches.start import next_poll
from connector.domain.lease import Fault, Lease
from connector.domain.results.transitions import advance
from connector.errors import ConnectorError, CredentialsRejected, NotFound, UpstreamUnavailable
from connector.koji.refusals import SESSION
from connector.service.attribution import read_from_koji
from connector.settings.rules import sync_rules
from connector.workers.koji.pause import PAUSES, KojiCalls

_CALL_INTERVAL = 12_000  # at most five a minute
_TRY_AGAIN = 600_000  # ms
_log = structlog.get_logger(__name__)


class FollowUps(KojiCalls):
    """Reads and ends unreported interviews of one key, at most five calls a minute."""

    _next = 0

    async def next_due(self) -> int | None:
        """Return when the next follow-up is due (ms)."""
        due = await self._ledger.invitations.next_due(self._connections)
        if due is None:
            return None
        # `_next` is far ahead only when the clock was set back
        return max(due, self._next) if self._next <= self._clock.now() + _CALL_INTERVAL else due

    async def next(self) -> tuple[Invitation, bool] | None:
        """Return the most overdue follow-up, and whether its interview must be ended."""
        invitations, now = self._ledger.invitations, self._clock.now()
        ending = await invitations.due(self._connections, now, complete=True)
        silent = ending or await invitations.due(self._connections, now, complete=False)
        return None if silent is None else (silent, ending is not None)

    async def step(self, lease: Lease, silent: Invitation, *, ending: bool) -> None:
        """Make a follow-up."""
        if silent.interview_id is None:  # a link: Koji has no interview to end or to read
            await self._put_off(lease, silent, None, ending=ending)
            return
        self._next = self._clock.now() + _CALL_INTERVAL
        try:
            await (self._end if ending else self._read)(lease, silent, silent.interview_id)
        except ConnectorError as error:
            if not await self._pause.for_error(error):
                raise

    async def put_off(self, lease: Lease, silent: Invitation, fault: Fault, *, ending: bool) -> None:
        """Make a follow-up again later: the next read at its own time."""
        await self._put_off(lease, silent, fault.due if ending else next_poll(silent), ending=ending)

    async def _put_off(self, lease: Lease, silent: Invitation, due: int | None, *, ending: bool) -> None:
        if ending:
            await self._ledger.invitations.completing(lease, silent.id, due)
        else:
            await self._ledger.invitations.polled(lease, silent.id, due, self._clock.now())

    async def _read(self, lease: Lease, invitation: Invitation, interview_id: str) -> None:
        if await self._ledger.syncs.find(invitation.connection, interview_id) is None:
            try:
                body = await self._koji.read(interview_id)
            except NotFound:
                pass
            else:
                await self._pause.answered()
                if await self._record(lease, invitation.connection, interview_id, body):
                    return
        following = next_poll(invitation)
        await self._ledger.invitations.polled(lease, invitation.id, following, self._clock.now())

    async def _record(self, lease: Lease, name: str, interview_id: str, body: Mapping[str, Any]) -> bool:
        """Record an ended interview as if a webhook had reported it.

        Tell whether the follow-up is finished: the interview has an invitation, or is anonymous.
        """
        ctx = self._context
        rules = sync_rules(ctx.connection(name))
        read = await read_from_koji(ctx, rules, interview_id, body)
        if not read.interview.has_ended:
            return False
        await self._ledger.syncs.revise(
            [read.key],
            lambda before, people: [advance(before.get(read.key), read, people)],
            lease=lease,
            observations=[read],
        )
        ctx.wake("amplitude")
        return read.interview.invitee is not None or read.interview.anonymous

    async def _end(self, lease: Lease, invitation: Invitation, interview_id: str) -> None:
        """End an interview that did not end within KOJI_COMPLETE_AFTER_HOURS."""
        invitations = self._ledger.invitations
        try:
            token = self._ledger.unseal(invitation.session_token or "")
            await self._koji.complete(interview_id, token, "timeout")
        except UpstreamUnavailable:
            await invitations.completing(lease, invitation.id, self._clock.now() + _TRY_AGAIN)
            raise
        except CredentialsRejected as error:
            # only a read can tell a refused key from a refused session token
            if error.reason == SESSION:
                await self._koji.read(interview_id)
            elif error.reason in PAUSES:
                _log.warning("complete_not_permitted", code=error.reason)
        except ConnectorError as error:
            _log.warning("silent_interview_not_ended", code=error.reason)
        await invitations.completing(lease, invitation.id, None)
