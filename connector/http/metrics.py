"""Serve `/metrics` to Prometheus: the ledger's numbers as they are now, and what this process counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from connector.context import Context
from connector.domain.lease import PAUSE_MESSAGES
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import EVENTS_MISSING
from connector.errors import Forbidden
from connector.http.endpoint import NO_STORE, Call, endpoint
from connector.metrics import NAMESPACE, PROCESS
from connector.service.lane_pause import announced_pauses

_ENDED = (SyncStatus.SYNCED, SyncStatus.SKIPPED, SyncStatus.FAILED)


class _Read(Collector):
    """What was read from the ledger, in the form in which it is written."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


@endpoint(
    "GET",
    "/metrics",
    scope="read",
    answers={"type": "string"},
    media_type="text/plain",
    open_by="connector_metrics_open",
    refused=("401", "403", "429", "503"),
)
async def metrics(call: Call) -> Response:
    """Show metrics in the format of Prometheus.

    Needs the scope read and a token for all connections, unless CONNECTOR_METRICS_OPEN is true.
    """
    if call.ctx.caller.connections:
        raise Forbidden("The numbers are of all connections; the token is for some.", code="wrong_connection")
    families = [family async for family in _families(call.ctx)]
    body = generate_latest(_Read(families)) + generate_latest(PROCESS)
    return Response(body, headers={**NO_STORE, "Content-Type": CONTENT_TYPE_LATEST})


async def _families(ctx: Context) -> AsyncIterator[Metric]:
    now, connections = ctx.clock.now(), ctx.settings.connections.values()
    lanes = await ctx.ledger.backlog.of_lanes()
    yield _gauge("lane_depth", "Jobs that wait.", {lane.lane: lane.depth for lane in lanes}, "lane")
    ages = {lane.lane: max(0, now - (lane.since or now)) / 1000 for lane in lanes}
    yield _gauge("lane_age_seconds", "The age of the oldest job that waits.", ages, "lane")
    interviews = Counter[tuple[str, str]]()
    for connection in connections:
        interviews.update(await ctx.ledger.counters.totals(connection.name))
    ended = CounterMetricFamily(
        f"{NAMESPACE}_interviews", "Interviews by their present outcome.", labels=["outcome", "reason"]
    )
    for (status, reason), n in sorted(interviews.items()):
        if status in _ENDED:
            ended.add_metric([status, reason], n)
    yield ended
    short = "Interviews of whose events Amplitude took fewer than were sent."
    yield CounterMetricFamily(
        f"{NAMESPACE}_short_counts", short, value=interviews[SyncStatus.SYNCED, EVENTS_MISSING]
    )
    paused = Counter(pause.reason for pause in await announced_pauses(ctx))
    by_reason = {reason: paused[reason] for reason in PAUSE_MESSAGES}
    yield _gauge("pauses", "Connections whose calls pause.", by_reason, "reason")
    lanes_of_credit = {connection.credit_lane for connection in connections}
    left = [await ctx.ledger.invitations.credits_left(lane, 0, now) for lane in lanes_of_credit]
    about = "Credits that were spent this UTC day."
    yield GaugeMetricFamily(f"{NAMESPACE}_credits_today", about, value=-sum(left))


def _gauge(name: str, about: str, values: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", about, labels=[label])
    for of_label, value in values.items():
        family.add_metric([of_label], value)
    return family


METRICS = (metrics,)
