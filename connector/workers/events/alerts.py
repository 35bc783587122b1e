"""The alert worker tells the owner what needs a person: pauses and their end, failed syncs and launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import structlog

from connector.context import Context
from connector.domain.events.event import Event, EventType
from connector.domain.lease import Lease
from connector.service import triggers
from connector.service.execution.operation import quoted
from connector.text.redaction import safe
from connector.workers.base import Worker
from connector.workers.events.notifier import Notifier

GIVE_UP_AFTER: Final = 3 * 86_400_000  # ms
QUIET: Final = 600_000
"""The shortest time between two messages about failed syncs (ms)."""
_log = structlog.get_logger(__name__)


class AlertWorker(Worker):
    """Sends each stored event that needs a person as one message, and failed syncs together."""

    name = "alerts"

    def __init__(self, context: Context, notifier: Notifier) -> None:
        super().__init__(context)
        self._notifier = notifier
        self._failed: list[Event] = []  # those of the message that is being sent

    async def recover(self, lease: Lease, /) -> None:
        """Continue the quiet time after the last message about failed syncs."""
        self._quiet_until, self._failed = lease.paced_until, []

    async def drain(self, lease: Lease) -> int | None:
        """Send what is due; the runner looks again within seconds."""
        now = self._clock.now()
        due = await self._ledger.alerts.due(self.parked())
        for event in due:
            if event.at < now - GIVE_UP_AFTER:
                _log.warning("alert_given_up", id=event.id, type=event.type)
                self._notifier.forget(event.number)
                await self._ledger.alerts.settle(lease, [event.number], self._quiet_until)
            elif event.type is not EventType.SYNC_FAILED:
                await self.attempt(str(event.number), event.connection, self._tell(lease, event))
        failed = [event for event in due if event.type is EventType.SYNC_FAILED]
        # a longer quiet time was set before the clock was set back
        if failed and (self._failed or not 0 < self._quiet_until - now <= QUIET):
            self._failed = self._failed or failed
            await self._tell_failed(lease, now)
        return None

    async def _tell(self, lease: Lease, event: Event) -> None:
        launch = await self._ledger.launches.find(event.subject)
        is_single = launch is not None and launch.single  # an interview that start_interview started
        (view,) = await triggers.render(self._context, [event])
        if is_single or await self._notifier.send(event.number, *_message(view)):
            await self._ledger.alerts.settle(lease, [event.number], self._quiet_until)

    async def _tell_failed(self, lease: Lease, now: int) -> None:
        numbers = [event.number for event in self._failed]
        if await self._notifier.send(tuple(numbers), *_failed_message(self._failed)):
            self._failed, self._quiet_until = [], now + QUIET
            await self._ledger.alerts.settle(lease, numbers, self._quiet_until)


def _message(event: dict[str, Any]) -> tuple[str, str]:
    """Return title and text of an event, without a person's data."""
    name, next_step = event["connection"], "Next: koji-amplitude"
    match event["type"]:
        case EventType.CONNECTION_PAUSED:
            check = f"{next_step} check-connection --connection {name}"
            return f"{name} is paused ({event['reason']})", f"{event['message']}\n{check}"
        case EventType.CONNECTION_RESUMED:
            since = f"It paused since {event['since']} ({event['reason']})."
            return f"{name} works again", f"{event['message']} {since}"
    launch_id = event["launch_id"]
    cohort = quoted(safe(event["cohort_name"])) if event["cohort_name"] else "a list"
    of = f"The launch {launch_id} of {cohort} on {name}"
    if event["type"] == EventType.LAUNCH_PAUSED:
        resume = f"{next_step} resume-launch --launch-id {launch_id} --connection {name}"
        return "A launch waits for approval", f"{of}: {event['waiting']} people wait.\n{resume}"
    counts = f"{event['invited']} invited, {event['failed']} failed, {event['in_doubt']} in doubt"
    look = f"{next_step} get-launch --launch-id {launch_id} --connection {name}"
    return "A launch has finished", f"{of}: {counts}.\n{look}"


def _failed_message(events: Sequence[Event]) -> tuple[str, str]:
    lines = []
    for name, n in Counter(event.connection for event in events).items():
        reasons = Counter(e.payload.get("reason") or "unknown" for e in events if e.connection == name)
        counts = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common())
        lines += [
            f"{name}: {n} ({counts})",
            f"Next: koji-amplitude list-syncs --status failed --connection {name}",
        ]
    return f"{len(events)} syncs failed", "\n".join(lines)
