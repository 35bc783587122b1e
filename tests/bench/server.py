"""The connector's server as the bench needs it; `--ceiling` is the same server with no storage behind it."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from connector.app import create_app
from connector.clock import SystemClock
from connector.inbound.koji_webhook import KojiWebhook
from connector.ports import Context, Delivery, Ledger
from connector.settings import Settings
from connector.settings_sources import load
from connector.surfaces.boundary import Boundary


class _NoStorage:
    async def accept(self, delivery: Delivery) -> bool:
        return True


def ceiling(settings: Settings) -> Starlette:
    """Return a server that verifies, parses and answers, and stores nothing."""
    webhook = KojiWebhook(settings)
    context = Context(
        settings=settings,
        clock=SystemClock(),
        ledger=cast("Ledger", _NoStorage()),
        koji={},
        amplitude={},
        amplitude_users={},
        amplitude_elsewhere={},
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        webhook.open(context)
        yield

    return Starlette(middleware=[Middleware(webhook.in_front_of), Middleware(Boundary)], lifespan=lifespan)


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ceiling", action="store_true")
    parser.add_argument("--no-workers", action="store_true")
    given = parser.parse_args()
    settings = load(os.environ, Path.cwd()).settings
    app: Any = ceiling(settings) if given.ceiling else create_app(settings, workers=not given.no_workers)
    uvicorn.run(app, host="127.0.0.1", port=settings.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
