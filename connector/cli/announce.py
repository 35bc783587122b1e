"""Tell the person who started a server its URL, its missing settings and the next step."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import structlog
from pydantic import SecretStr

from connector import __version__
from connector.cli.startup import directories
from connector.cli.terminal import NAME, PROGRAM, say
from connector.settings.files import MISSPELT
from connector.settings.model import DEFAULT_CONNECTION, Connection, Settings
from connector.settings.sources import load

_log = structlog.get_logger(__name__)
_CREDENTIALS = ("koji_api_key", "koji_webhook_secret", "amplitude_api_key", "amplitude_secret_key")
WEBHOOK_EVENT = "interview.analysis_ready"


def webhook_url(settings: Settings, connection: str = DEFAULT_CONNECTION) -> str:
    """Return the URL for Koji's webhooks; one that names a connection takes only that one's."""
    url = f"{settings.public_url}/webhooks/koji"
    return url if connection == DEFAULT_CONNECTION else f"{url}/{connection}"


def local_url(settings: Settings) -> str:
    """Return the URL of the server on this machine."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def announce(settings: Settings, new_token: SecretStr | None, *, workers: bool) -> None:
    """Tell the server's URL and missing settings, where the API token lies, and the next step.

    On a terminal these are lines, with a `new_token` if one was made; elsewhere one object of the log.
    """
    missing = [
        _written(connection, name)
        for connection in settings.connections.values()
        for name in _CREDENTIALS
        if not getattr(connection, name)
    ]
    next_step = f"{PROGRAM} doctor checks everything"
    warnings = load(os.environ, *directories()).warnings
    if misspelt := [warning for warning in warnings if MISSPELT in warning]:
        next_step = misspelt[0]
    elif missing:
        next_step = f"{PROGRAM} init asks for what is not set"
    elif not settings.public_url.startswith("https://"):
        next_step = "put a proxy or tunnel with https in front and set PUBLIC_URL, so that Koji reaches it"
    file = (settings.database_file or Path()).parent / "api-token"
    kept = None if settings.connector_api_token else str(file)
    url, webhook = local_url(settings), webhook_url(settings)
    if not sys.stderr.isatty():
        facts = {"version": __version__, "url": url, "koji_webhook": webhook, "api_token_file": kept}
        _log.info("started", **facts, serves_http=True, works=workers, not_set=missing, next=next_step)
        return
    say(f"{NAME} {__version__} at {url}" + ("" if workers else " (without workers)"))
    if new_token is not None:
        say(f"  API token      {new_token.get_secret_value()}")
        say(f"                 made now, shown once; kept in {kept} for its owner alone")
    elif kept:
        say(f"  API token      in {kept}")
    say(f"  Console        {url}/console ({PROGRAM} console signs in)")
    say(f"  Koji webhook   {webhook} (event {WEBHOOK_EVENT})")
    if missing:
        say(f"  Not set        {', '.join(missing)}")
    say(f"  Next           {next_step}")


def _written(connection: Connection, name: str) -> str:
    """Return a setting's name as people write it."""
    return (
        name.upper() if connection.name == DEFAULT_CONNECTION else f"[connections.{connection.name}] {name}"
    )
