"""The connector's server with nothing behind it: it verifies, parses and answers, and stores nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from connector.clock import SystemClock
from connector.context import Context
from connector.domain.results.sync import InboundWebhook
from connector.http.middleware import Boundary
from connector.http.server.server import config
from connector.http.webhooks.koji import KojiWebhook
from connector.ledger.ledger import Ledger
from connector.net.target_client import Targets
from connector.settings.model import Settings
from connector.settings.sources import load


class _NoStorage:
    async def accept(self, delivery: InboundWebhook) -> bool:
        return True


def ceiling(settings: Settings) -> Starlette:
    """Return the server."""
    webhook = KojiWebhook(settings)
    context = Context(
        settings=settings,
        clock=SystemClock(),
        ledger=cast("Ledger", SimpleNamespace(inbox=_NoStorage(), diagnostics=None)),
        koji={},
        amplitude={},
        amplitude_users={},
        amplitude_elsewhere={},
        amplitude_cohorts={},
        targets=Targets(allow_private=False),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        webhook.open(context)
        yield

    return Starlette(middleware=[Middleware(webhook.in_front_of), Middleware(Boundary)], lifespan=lifespan)


if __name__ == "__main__":
    given = load(os.environ, Path.cwd()).settings
    uvicorn.Server(config(ceiling(given), "127.0.0.1", given.port)).run()
