"""The two stand-ins and the study as one thing that can be inspected and reset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from connector.sandbox.amplitude.ingestion import AmplitudeProject
from connector.sandbox.koji.project import KojiProject
from connector.sandbox.options import SandboxOptions
from connector.sandbox.study.study import StudyRun


class Sandbox:
    """Everything behind one sandbox server; in-process tests may use it without HTTP."""

    def __init__(
        self,
        options: SandboxOptions,
        now: Callable[[], float],
        webhook_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.options = options
        self.now = now
        self.amplitude = AmplitudeProject(options, now)
        self.koji = KojiProject(options, now, webhook_transport)
        self.koji.sender.endpoint = options.webhook
        self.study = StudyRun(self.amplitude, self.koji, now)

    async def start(self) -> None:
        """Start the background work."""
        await self.koji.sender.start()
        await self.koji.scheduler.start()

    async def stop(self) -> None:
        """Stop the background work."""
        await self.koji.scheduler.stop()
        await self.koji.sender.stop()

    def reset(self) -> None:
        """Return both services to their first state; the saved webhook endpoint stays."""
        self.amplitude.reset()
        self.koji.reset()
        self.study.reset()

    def summary(self) -> dict[str, Any]:
        """Return counts of what both services hold and have seen."""
        store, koji = self.amplitude.store, self.koji
        return {
            "amplitude": {
                "requests": self.amplitude.requests_total,
                "events_received": self.amplitude.events_received,
                "events_stored": sum(store.counts.values()),
                "events_by_type": dict(store.counts),
                "duplicates": store.duplicates,
                "blocked": store.blocked,
                "users": len(store.users),
                "faults": self.amplitude.faults.as_json(),
            },
            "koji": {
                "interviews": len(koji.store.interviews),
                "interviews_by_status": dict(
                    Counter(
                        koji.store.analysis_status(one) or "active" for one in koji.store.interviews.values()
                    )
                ),
                "calls": len(koji.calls),
                "calls_refused_by_rate": sum(call.status == 429 for call in koji.calls),
                "deliveries": len(koji.sender.log),
                "deliveries_waiting": koji.sender.waiting,
                "analyses_waiting": koji.scheduler.waiting,
                "webhook": koji.sender.endpoint is not None,
                "faults": koji.faults.as_json(),
            },
            "study": {"people": len(self.study.people)},
        }
