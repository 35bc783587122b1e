"""Count for Prometheus what only this process knows; the ledger knows the rest (`connector.http.metrics`).

The values of labels are few and stand in the code: none is an id, or comes from a request.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

NAMESPACE: Final = "koji_amplitude"
PROCESS: Final = CollectorRegistry()
_WAITS: Final = (0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
disable_created_metrics()  # type: ignore[no-untyped-call]

WEBHOOKS: Final = Counter(
    "webhooks", "Webhooks by the result of their request.", ["result"], namespace=NAMESPACE, registry=PROCESS
)
HOOK_DELIVERIES: Final = Counter(
    "hook_deliveries",
    "Attempts to deliver an event to a subscriber.",
    ["outcome"],
    namespace=NAMESPACE,
    registry=PROCESS,
)
UPSTREAM: Final = Histogram(
    "upstream_seconds",
    "The time until Koji or Amplitude answers, or does not.",
    ["upstream", "call"],
    namespace=NAMESPACE,
    registry=PROCESS,
)
RATE_LIMIT_WAIT: Final = Histogram(
    "rate_limit_wait_seconds",
    "The time that a call waits for the rate limit of a Koji key.",
    namespace=NAMESPACE,
    registry=PROCESS,
    buckets=_WAITS,
)
