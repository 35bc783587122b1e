"""Run the demo's two servers: the stand-ins of Koji and Amplitude, and the connector as a user runs it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from connector.demo.child import HOST, Child, child
from connector.sandbox.options import (
    FAKE_AMPLITUDE_KEY,
    FAKE_AMPLITUDE_REST_KEY,
    FAKE_KOJI_KEY,
    FAKE_SIGNING_KEY,
    SandboxOptions,
)

CALLS_A_MINUTE = 600  # ten times Koji's usual limit: a minute of starts is long to watch
SANDBOX = ("-m", "connector", "sandbox", "--koji-rate-limit", str(CALLS_A_MINUTE))
CONNECTOR = ("-m", "connector", "serve")


@dataclass(frozen=True, slots=True)
class Servers:
    """Both processes, the connector's token, and the directory of its ledger."""

    sandbox: Child
    connector: Child
    token: str
    directory: Path

    def require_running(self) -> None:
        """Raise DemoError when one of the processes ended."""
        self.sandbox.require_running()
        self.connector.require_running()


@contextmanager
def running(directory: Path) -> Iterator[Servers]:
    """Start both, wait until they answer, and end both however the block is left. Raises DemoError."""
    token = secrets.token_urlsafe(24)
    with (
        child("sandbox", "/control/state", directory, SANDBOX, {}) as sandbox,
        child(
            "connector", "/readyz", directory, CONNECTOR, _settings(sandbox.url, token, directory)
        ) as served,
    ):
        yield Servers(sandbox, served, token, directory)


def _settings(sandbox: str, token: str, directory: Path) -> Mapping[str, str]:
    """Return the settings of a connector that is tried against the sandbox."""
    ledger = quote((directory / "ledger.db").as_posix(), safe="/:")
    return {
        "KOJI_API_KEY": FAKE_KOJI_KEY,
        "KOJI_PROJECT_ID": SandboxOptions().koji_project_id,
        "KOJI_BASE_URL": f"{sandbox}/koji",
        "KOJI_WEBHOOK_SECRET": FAKE_SIGNING_KEY,
        "KOJI_RATE_LIMIT_PER_MINUTE": str(CALLS_A_MINUTE),
        "AMPLITUDE_API_KEY": FAKE_AMPLITUDE_KEY,
        "AMPLITUDE_SECRET_KEY": FAKE_AMPLITUDE_REST_KEY,
        "AMPLITUDE_INGESTION_URL": f"{sandbox}/amplitude",
        "AMPLITUDE_REST_URL": f"{sandbox}/amplitude",
        "CONNECTOR_API_TOKEN": token,
        "DATABASE_URL": f"sqlite:///{ledger}",
        "HOST": HOST,
    }
