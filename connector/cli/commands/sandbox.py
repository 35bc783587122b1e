"""`koji-amplitude sandbox`: the stand-ins for Koji and Amplitude, to try things out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connector.cli.arguments import Parser
from connector.cli.terminal import PROGRAM, clean
from connector.errors import SettingsError
from connector.http.server.server import Server, listening
from connector.sandbox.options import SandboxOptions, WebhookEndpoint
from connector.sandbox.server import config

DEFAULT_PORT = 8090
HOST = "127.0.0.1"


def main(words: Sequence[str]) -> int:
    """Serve the stand-ins until a signal; print where they are and how to point a connector at them."""
    parser = Parser(
        "sandbox", "Run strict stand-ins for Koji and Amplitude, at /koji and /amplitude of one port."
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="N", help=f"(default {DEFAULT_PORT})"
    )
    parser.add_argument("--host", default=HOST, metavar="ADDRESS", help=f"(default {HOST})")
    parser.add_argument(
        "--webhook-url", metavar="URL", help="Where the Koji stand-in sends its webhooks: .../webhooks/koji."
    )
    parser.add_argument("--latency-seconds", type=float, default=0.0, metavar="N", help="Delay every answer.")
    parser.add_argument(
        "--no-throttle", action="store_true", help="No limit per user, no limit per Koji key."
    )
    parser.add_argument("--no-store", action="store_true", help="Keep counters, not event bodies.")
    given = parser.read(words)
    if not 1 <= given.port <= 65_535:
        raise SettingsError("--port: must be a whole number from 1 to 65535; for example --port 8090")
    options = SandboxOptions(
        latency_seconds=given.latency_seconds,
        store_events=not given.no_store,
        webhook=WebhookEndpoint(url=given.webhook_url) if given.webhook_url else None,
    )
    if given.no_throttle:
        options = replace(options, throttle_events_per_second=None, koji_rate_limit_per_minute=None)
    base = f"http://{given.host}:{given.port}"
    with listening(given.host, given.port) as sockets:
        server = Server(
            config(options, given.host, given.port),
            started_hook=lambda: print(clean(introduction(base, options)), flush=True),  # noqa: T201 - its answer
            stop_hook=lambda: None,
        )
        server.run(sockets)
    return 0


def introduction(base: str, options: SandboxOptions) -> str:
    """Return what a person needs to use the stand-ins."""
    webhook = WebhookEndpoint(url="http://127.0.0.1:8080/webhooks/koji")
    told = options.webhook
    lines = [
        f"Koji       {base}/koji",
        f"Amplitude  {base}/amplitude",
        f"Control    {base}/control/state",
        "",
        "# point a connector at them: put these lines into .env",
        f"KOJI_BASE_URL={base}/koji",
        f"KOJI_API_KEY={options.koji_api_key}",
        f"KOJI_PROJECT_ID={options.koji_project_id}",
        f"KOJI_WEBHOOK_SECRET={(told or webhook).secret}",
        f"AMPLITUDE_INGESTION_URL={base}/amplitude",
        f"AMPLITUDE_REST_URL={base}/amplitude",
        f"AMPLITUDE_API_KEY={options.amplitude_api_key}",
        f"AMPLITUDE_SECRET_KEY={options.amplitude_secret_key}",
        "",
        f"# with `{PROGRAM} serve` running: complete an interview, and look at what Amplitude got",
    ]
    if told is None:
        lines.append(
            f"curl -X PUT {base}/control/koji/webhook -H 'Content-Type: application/json' "
            f"""-d '{{"url": "{webhook.url}"}}'"""
        )
    lines.append(
        f"curl -X POST {base}/control/koji/interviews -H 'Content-Type: application/json' "
        """-d '{"state": "completed", "email": "person-001@example.com", "quality_score": 4.2}'"""
    )
    lines.append(f"curl {base}/control/amplitude/events")
    return "\n".join(lines)
