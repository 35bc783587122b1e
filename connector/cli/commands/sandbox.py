"""`koji-amplitude sandbox`: the stand-ins for Koji and Amplitude, for trials."""

from __future__ import annotations

from dataclasses import replace

import click

from connector.cli.arguments import Command, with_flags
from connector.cli.terminal import PROGRAM, say
from connector.errors import SettingsError
from connector.sandbox.options import SandboxOptions, WebhookEndpoint
from connector.text.cells import clean


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
    try:
        with listening(host, port) as sockets:
            server = Server(
                config,
                say=say,
                started_hook=lambda: click.echo(clean(introduction(base, options))),
                stop_hook=lambda: None,
            )
            server.run(sockets)
    except SettingsError as error:
        raise SettingsError(with_flags(str(error), ("HOST", "PORT"))) from None
    return 0


def introduction(base: str, options: SandboxOptions) -> str:
    """Return the stand-ins' URLs, the settings for a connector, and examples of calls."""
    webhook = options.webhook or WebhookEndpoint(url="http://127.0.0.1:8080/webhooks/koji")
    curl = "curl -X {} " + base + "/control/koji/{} -H 'Content-Type: application/json' -d '{}'\n"
    endpoint = "" if options.webhook else curl.format("PUT", "webhook", f'{{"url": "{webhook.url}"}}')
    interview = '{"state": "completed", "email": "person-001@example.com", "quality_score": 4.2}'
    return f"""\
Koji       {base}/koji
Amplitude  {base}/amplitude
Control    {base}/control/state

# point a connector at them: put these lines into .env
KOJI_BASE_URL={base}/koji
KOJI_API_KEY={options.koji_api_key}
KOJI_PROJECT_ID={options.koji_project_id}
KOJI_WEBHOOK_SECRET={webhook.secret}
AMPLITUDE_INGESTION_URL={base}/amplitude
AMPLITUDE_REST_URL={base}/amplitude
AMPLITUDE_API_KEY={options.amplitude_api_key}
AMPLITUDE_SECRET_KEY={options.amplitude_secret_key}

# with `{PROGRAM} serve` running: complete an interview, and look at what Amplitude got
{endpoint}{curl.format("POST", "interviews", interview)}curl {base}/control/amplitude/events"""
