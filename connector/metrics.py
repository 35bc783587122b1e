"""Count for Prometheus what only this process knows; the ledger knows the rest (`connector.http.metrics`).

The values of labels are few and stand in the code: none is an id, or comes from a request.
"""

from __future__ import annotations

from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

NAMESPACE: Final = "koji_amplitude"
PROCESS: Final = CollectorRegistry()
_WAITS: Final = (0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
_OURS: Final[dict[str, Any]] = {"namespace": NAMESPACE, "registry": PROCESS}
disable_created_metrics()  # type: ignore[no-untyped-call]

WEBHOOKS: Final = Counter("webhooks", "Webhooks by the result of their request.", ["result"], **_OURS)
HOOK_DELIVERIES: Final = Counter("hook_deliveries", "Attempts to deliver an event.", ["outcome"], **_OURS)
UPSTREAM: Final = Histogram(
    "upstream_seconds",
    "The time until Koji or Amplitude answers, or does not.",
    ["upstream", "call"],
    **_OURS,
)
RATE_LIMIT_WAIT: Final = Histogram(
    "rate_limit_wait_seconds", "How long a call waits for the limit of a Koji key.", buckets=_WAITS, **_OURS
)
