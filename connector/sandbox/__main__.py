"""`python -m connector.sandbox --port 8090`: both stand-ins on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from connector.sandbox.options import SandboxOptions
from connector.sandbox.server import serve


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the flags and serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m connector.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--latency-seconds", type=float, default=0.0, help="delay of every answer")
    parser.add_argument("--koji-rate-limit", type=int, default=60, help="calls a minute of a Koji key")
    parser.add_argument("--no-throttle", action="store_true", help="no limit per user, no limit per Koji key")
    parser.add_argument("--no-store", action="store_true", help="keep counters, not event bodies")
    given = parser.parse_args(arguments)
    options = SandboxOptions(
        latency_seconds=given.latency_seconds,
        store_events=not given.no_store,
        koji_rate_limit_per_minute=given.koji_rate_limit,
    )
    if given.no_throttle:
        options = replace(options, throttle_events_per_second=None, koji_rate_limit_per_minute=None)
    serve(options, host=given.host, port=given.port)


if __name__ == "__main__":
    main()
