"""Tell the person who started a server where it is and what it lacks."""

from __future__ import annotations

from pydantic import SecretStr

from connector import __version__
from connector.cli.terminal import PROGRAM, say
from connector.settings.key_files import api_token
from connector.settings.model import DEFAULT_CONNECTION, Connection, Settings

_CREDENTIALS = ("koji_api_key", "koji_webhook_secret", "amplitude_api_key", "amplitude_secret_key")
WEBHOOK_PATH = "/webhooks/koji"
WEBHOOK_EVENT = "interview.analysis_ready"


def missing_credentials(settings: Settings) -> list[str]:
    """Return the names of the credentials that are not set, as their owner would write them."""
    return [
        _written(connection, name)
        for connection in settings.connections.values()
        for name in _CREDENTIALS
        if not getattr(connection, name)
    ]


def webhook_url(settings: Settings) -> str:
    """Return where Koji's webhooks go."""
    return settings.public_url + WEBHOOK_PATH


def local_url(settings: Settings) -> str:
    """Return where the server answers on this machine."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def obtain_token(settings: Settings) -> SecretStr | None:
    """Return the API token when it was made just now, None when it was there before."""
    token, made_now = api_token(settings)
    return token if made_now else None


def announce(settings: Settings, new_token: SecretStr | None, *, workers: bool) -> None:
    """Say where the server is, what it lacks and what to do next."""
    say(f"{PROGRAM} {__version__} at {local_url(settings)}" + ("" if workers else " (without workers)"))
    if new_token is not None:
        say(f"  API token      {new_token.get_secret_value()}")
        say(f"                 made now, shown once; kept in {_token_file(settings)} for its owner alone")
    elif settings.connector_api_token is None:
        say(f"  API token      in {_token_file(settings)}")
    say(f"  Koji webhook   {webhook_url(settings)} (event {WEBHOOK_EVENT})")
    missing = missing_credentials(settings)
    if missing:
        say(f"  Not set        {', '.join(missing)}")
    say(f"  Next           {_next_step(settings, missing)}")


def _next_step(settings: Settings, missing: list[str]) -> str:
    if missing:
        return f"{PROGRAM} init asks for what is not set"
    if not settings.public_url.startswith("https://"):
        return "put a proxy or tunnel with https in front and set PUBLIC_URL, so that Koji reaches it"
    return f"{PROGRAM} doctor checks everything"


def _written(connection: Connection, name: str) -> str:
    if connection.name == DEFAULT_CONNECTION:
        return name.upper()
    return f"[connections.{connection.name}] {name}"


def _token_file(settings: Settings) -> str:
    file = settings.database_file
    return str(file.parent / "api-token") if file else "CONNECTOR_API_TOKEN"
