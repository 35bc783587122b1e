"""Hold the two stand-ins and the study as one thing that can be run, inspected and reset."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from connector.sandbox.amplitude.ingestion import AmplitudeProject
from connector.sandbox.koji.project import KojiProject
from connector.sandbox.options import SandboxOptions
from connector.sandbox.study.study import StudyRun


class Sandbox:
    """Everything behind one sandbox server; in-process tests may use it without HTTP."""

    def __init__(
        self, options: SandboxOptions, now: Callable[[], float], transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.options = options
        self.amplitude = AmplitudeProject(options, now)
        self.koji = KojiProject(options, now, transport)
        self.study = StudyRun(self.amplitude, self.koji, now)

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Deliver webhooks and finish analyses until the server stops."""
        async with self.koji.sender.running(), self.koji.scheduler.running():
            yield

    def reset(self) -> None:
        """Return both services to their first state; the saved webhook endpoint stays."""
        self.amplitude.reset()
        self.koji.reset()
        self.study.reset()

    def summary(self) -> dict[str, Any]:
        """Return counts of what both services hold and have seen."""
        amplitude, store, koji = self.amplitude, self.amplitude.store, self.koji
        interviews = koji.store.interviews.values()
        statuses = Counter(koji.store.analysis_status(interview) or "active" for interview in interviews)
        return {
            "amplitude": {
                "requests": amplitude.requests_total,
                "events_received": amplitude.events_received,
                "events_stored": sum(store.counts.values()),
                "events_by_type": dict(store.counts),
                "duplicates": store.duplicates,
                "blocked": amplitude.blocked,
                "users": len(store.users),
                "faults": amplitude.faults.as_json(),
            },
            "koji": {
                "interviews": len(interviews),
                "interviews_by_status": dict(statuses),
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
