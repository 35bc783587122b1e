"""`koji-amplitude sandbox`: the stand-ins for Koji and Amplitude, to try things out."""

from __future__ import annotations

from dataclasses import replace

import click

from connector.cli.arguments import Command
from connector.cli.terminal import PROGRAM, clean, say
from connector.sandbox.options import SandboxOptions, WebhookEndpoint


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(1, 65_535), default=8090, metavar="N", help="(default 8090)")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="(default 127.0.0.1)")
@click.option(
    "--webhook-url", metavar="URL", help="Where Koji's stand-in sends its webhooks: .../webhooks/koji."
)
@click.option("--latency-seconds", type=float, default=0.0, metavar="N", help="Delay every answer.")
@click.option(
    "--koji-rate-limit", type=int, default=60, metavar="N", help="Calls a minute of a Koji key (default 60)."
)
@click.option("--no-throttle", is_flag=True, help="No limit per user, no limit per Koji key.")
@click.option("--no-store", is_flag=True, help="Keep counters, not event bodies.")
def command(
    *,
    port: int,
    host: str,
    webhook_url: str | None,
    koji_rate_limit: int,
    latency_seconds: float,
    no_throttle: bool,
    no_store: bool,
) -> int:
    """Run strict stand-ins for Koji and Amplitude, at /koji and /amplitude of one port."""
    import uvicorn

    from connector.http.server.server import Server, listening
    from connector.sandbox.app import create_sandbox

    options = SandboxOptions(
        koji_rate_limit_per_minute=koji_rate_limit,
        latency_seconds=latency_seconds,
        store_events=not no_store,
        webhook=WebhookEndpoint(url=webhook_url) if webhook_url else None,
    )
    if no_throttle:
        options = replace(options, throttle_events_per_second=None, koji_rate_limit_per_minute=None)
    base = f"http://{host}:{port}"
    config = uvicorn.Config(
        create_sandbox(options),
        host=host,
        port=port,
        log_level="critical",  # a cut connection is scripted
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    with listening(host, port) as sockets:
        server = Server(
            config,
            say=say,
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
