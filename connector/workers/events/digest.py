"""The digest worker sends the numbers of each week, and no person's name, when the week has ended (UTC)."""

from __future__ import annotations

from typing import Final

from connector.context import Context
from connector.domain.lease import Lease
from connector.domain.results.tally import LEAST
from connector.ledger.events.digest import Week
from connector.workers.base import Worker
from connector.workers.events.notifier import Notifier

WEEK: Final = 7 * 86_400_000  # ms
_MONDAY: Final = 4 * 86_400_000  # the first Monday of the epoch
_LONGEST_THEME: Final = 80


class DigestWorker(Worker):
    """Sends one message for each connection and week; the lane's pace keeps which week was sent."""

    name = "digest"

    def __init__(self, context: Context, notifier: Notifier) -> None:
        super().__init__(context)
        self._notifier = notifier

    async def recover(self, lease: Lease, /) -> None:
        """Continue after the last week that was sent."""
        self._sent_until, self._week = lease.paced_until, 0

    async def drain(self, lease: Lease) -> int | None:
        """Send the week that ended last, unless it was sent."""
        end = week_start(self._clock.now())
        if self._sent_until == end:
            return None
        if self._week != end:
            self._week, self._left = end, await self._texts(end)
        for name, text in list(self._left.items()):
            if await self._notifier.send((name, end), f"The week of {name}", text):
                del self._left[name]
        if not self._left:
            await self._ledger.digest.sent(lease, end)
            self._sent_until = end
        return None

    async def _texts(self, end: int) -> dict[str, str]:
        connections, of_week = self._context.settings.connections, self._ledger.digest.of_week
        return {
            name: text_of(await of_week(name, connection.credit_lane, end - WEEK, end))
            for name, connection in connections.items()
        }


def week_start(now: int) -> int:
    """Return when the week of a time began (ms): on Monday, 00:00 UTC."""
    return (now - _MONDAY) // WEEK * WEEK + _MONDAY


def text_of(week: Week) -> str:
    """Return the numbers of a week as lines."""
    interviews = ", ".join(f"{n} {status}" for status, n in week.interviews.items()) or "none"
    rate = f" ({100 * week.completed // week.invited} %)" if week.invited else ""
    themes = "; ".join(f"{' '.join(theme.split())[:_LONGEST_THEME]} (n = {n})" for theme, n in week.themes)
    return "\n".join(
        (
            f"Interviews: {interviews}.",
            f"Themes: {themes or f'none with n ≥ {LEAST}'}.",
            f"Invited: {week.invited}, of whom {week.completed} completed an interview{rate}.",
            f"Credits: {week.credits}.",
        )
    )
