"""The names under which the server answers people and assistants: PUBLIC_URL's, loopback's, the settings'.

No page of another site can reach it through the browser of a person who looks at that page (DNS rebinding).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from connector.settings.model import Settings

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
REFUSAL = "Host: this name is not answered; set PUBLIC_URL to it, or add it to CONNECTOR_ALLOWED_HOSTS."


def answered_hosts(settings: Settings) -> list[str]:
    """Return the names, as a Host header has them without the port."""
    host = urlsplit(settings.public_url).hostname or ""
    named = f"[{host}]" if ":" in host else host
    return list(dict.fromkeys((named, *LOOPBACK, *settings.connector_allowed_hosts)))


def is_answered(settings: Settings, host: str) -> bool:
    """Tell whether a Host header has one of the names, with any port."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).lower() in answered_hosts(settings)
