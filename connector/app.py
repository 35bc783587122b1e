"""The only wiring: from settings to a context, to workers, to a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from connector.amplitude.cohorts import AmplitudeCohortsClient
from connector.amplitude.ingestion import AmplitudeIngestion
from connector.amplitude.regions import REGIONS
from connector.amplitude.users import AmplitudeUsersClient
from connector.clock import Clock, SystemClock
from connector.console.routes import console_routes
from connector.context import Amplitude, Context
from connector.domain.access import CONFIRMED_TIME
from connector.domain.trusted_time import TrustedTime
from connector.http.auth import Gate, token_digest
from connector.http.middleware import Boundary
from connector.http.problem import on_http_exception
from connector.http.routes import ENDPOINTS as HTTP_ENDPOINTS
from connector.http.routes import routes
from connector.http.webhooks.cohort import CohortWebhook
from connector.http.webhooks.koji import KojiWebhook
from connector.integrations.census.route import census
from connector.koji.client import KojiClient
from connector.koji.rate_limit import RateLimitedKoji
from connector.ledger.db.notices import listening
from connector.ledger.ledger import open_ledger
from connector.net.client import open_client
from connector.net.target_client import Targets
from connector.operations import OPERATIONS
from connector.service.execution import callbacks
from connector.settings.key_files import api_token, open_sealer
from connector.settings.model import Connection, Settings
from connector.tracing import open_tracing
from connector.workers.base import Worker
from connector.workers.events.alerts import AlertWorker
from connector.workers.events.callbacks import CallbackWorker
from connector.workers.events.digest import DigestWorker
from connector.workers.events.hooks import HookWorker
from connector.workers.events.notifier import Notifier
from connector.workers.koji.worker import KojiWorker
from connector.workers.launches.cohort_webhook import CohortWebhookWorker
from connector.workers.launches.links import LinkWorker
from connector.workers.launches.planning import PlanningWorker
from connector.workers.launches.waves import WaveWorker
from connector.workers.results.amplitude import AmplitudeWorker
from connector.workers.results.intake import IntakeWorker
from connector.workers.results.runs import RunWorker
from connector.workers.runner import TTL, Runner
from connector.workers.upkeep.erasure import ErasureWorker
from connector.workers.upkeep.retention import RetentionWorker

ENDPOINTS = (*HTTP_ENDPOINTS, census)
"""What is served beside the operations."""


@dataclass(frozen=True, slots=True)
class Running:
    """An open context and the runner of its workers."""

    context: Context
    runner: Runner


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    workers: bool = True,
    only: Collection[str] | None = None,
    clock: Clock | None = None,
    lease_ms: int = TTL,
) -> AsyncIterator[Running]:
    """Open the ledger and the clients and start the workers; close all at the end.

    With `only`, it starts the workers of these kinds alone. It starts none when `workers` is false.
    """
    clock = clock or SystemClock()
    sealer = open_sealer(settings)
    urls = settings.connector_alert_urls
    notifier = Notifier(urls, clock) if urls else None
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_client())
        ledger = await open_ledger(settings.database_url, sealer)
        stack.push_async_callback(ledger.close)
        confirmed = await ledger.diagnostics.since("", CONFIRMED_TIME, 0)
        trace, end_tracing = open_tracing(ledger.keyed_hash)
        stack.push_async_callback(asyncio.to_thread, end_tracing)
        stopping = asyncio.Event()
        runner = Runner(ledger.leases, clock, stopping, lease_ms=lease_ms)
        connections = settings.connections.values()
        koji = {
            name: RateLimitedKoji(
                KojiClient(client, mine[0].koji_base_url, _secret(mine[0].koji_api_key)),
                partial(ledger.rate_limit.take, name),
                clock,
                per_minute=min(connection.koji_rate_limit_per_minute for connection in mine),
            )
            for name, mine in _by_lane(connections, lambda c: c.koji_lane).items()
        }
        with_key = [c for c in connections if c.amplitude_api_key]
        with_secret = [c for c in with_key if c.amplitude_secret_key]
        context = Context(
            settings=settings,
            clock=clock,
            ledger=ledger,
            koji={c.name: koji[c.koji_lane] for c in connections if c.koji_lane},
            amplitude={c.name: _ingestion(client, c) for c in with_key},
            amplitude_users={c.name: AmplitudeUsersClient(client, *_rest(c)) for c in with_secret},
            amplitude_elsewhere={
                c.name: _ingestion(client, c, elsewhere=True)
                for c in with_key
                if c.amplitude_ingestion_url is None
            },
            amplitude_cohorts={c.name: AmplitudeCohortsClient(client, *_rest(c)) for c in with_secret},
            targets=Targets(allow_private=settings.connector_allow_private_targets),
            stopping=stopping,
            wake=runner.wake,
            trusted=TrustedTime(confirmed[0].detail["at"] if confirmed else None),
            trace=trace,
        )
        context.trusted_now()  # the first look, from which on jumps are seen
        if workers:
            kinds = {worker: worker.name.partition(":")[0] for worker in all_workers(context, notifier)}
            for worker in kinds:
                stack.push_async_callback(worker.close)
            runner.start([worker for worker, kind in kinds.items() if only is None or kind in only])
            await stack.enter_async_context(listening(settings.database_url, runner.heard))
        stack.push_async_callback(runner.stop)
        yield Running(context, runner)


def all_workers(context: Context, notifier: Notifier | None = None) -> list[Worker]:
    """Return the workers that the settings call for."""
    connections = context.settings.connections.values()
    workers: list[Worker] = [
        IntakeWorker(context),
        RunWorker(context),
        RetentionWorker(context),
        PlanningWorker(context),
        CohortWebhookWorker(context),
        WaveWorker(context),
        ErasureWorker(context),
        HookWorker(context),
        CallbackWorker(context, partial(callbacks.result, by_name={op.name: op for op in OPERATIONS})),
    ]
    if notifier is not None:
        workers.append(AlertWorker(context, notifier))
        if context.settings.connector_digest:
            workers.append(DigestWorker(context, notifier))
    workers += [LinkWorker(context, c.name) for c in connections if c.koji_invite_by == "link"]
    for name, mine in _by_lane(connections, lambda c: c.koji_lane).items():
        names = tuple(c.name for c in mine)
        workers.append(KojiWorker(context, name, names, context.koji[names[0]]))
    for name, mine in _by_lane(connections, lambda c: c.amplitude_lane).items():
        names = tuple(c.name for c in mine)
        pace = min((c.amplitude_events_per_second for c in mine if c.amplitude_events_per_second), default=0)
        workers.append(AmplitudeWorker(context, name, names, context.amplitude[names[0]], pace))
    return workers


@dataclass(frozen=True, slots=True)
class Mount:
    """One more surface of the server: it answers its own requests before any routing, while it runs."""

    in_front_of: Callable[[ASGIApp], ASGIApp]
    run: Callable[[], AbstractAsyncContextManager[None]]


MakeMount = Callable[[Settings, Callable[[], Context], Gate], Mount]
"""From the settings, the open context and the gate that callers pass."""


def create_app(
    settings: Settings,
    *,
    workers: bool = True,
    clock: Clock | None = None,
    lease_ms: int = TTL,
    mounts: Iterable[MakeMount] = (),
) -> Starlette:
    """Return the server: actions, webhooks and `mounts` in one process; with `workers` the workers, too."""
    token, _ = api_token(settings)
    webhook, cohorts = KojiWebhook(settings), CohortWebhook(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with build(settings, workers=workers, clock=clock, lease_ms=lease_ms) as running:
            app.state.context, app.state.runner = running.context, running.runner
            webhook.open(running.context)
            cohorts.open(running.context)
            async with AsyncExitStack() as stack:
                for mount in mounted:
                    await stack.enter_async_context(mount.run())
                yield
                running.context.stopping.set()
            await webhook.close()

    def context() -> Context:
        opened: Context = app.state.context
        return opened

    gate = Gate({"token": token_digest(token.get_secret_value())}, context)
    mounted = [make(settings, context, gate) for make in mounts]
    app = Starlette(
        routes=[
            *routes(OPERATIONS, ENDPOINTS, context=context, gate=gate),
            *console_routes(settings, OPERATIONS, context, gate),
        ],
        middleware=[
            Middleware(webhook.in_front_of),
            Middleware(cohorts.in_front_of),
            Middleware(Boundary),
            *(Middleware(mount.in_front_of) for mount in mounted),
        ],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # such a redirect leads to whatever Host the request names
    return app


def _secret(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _ingestion(client: httpx.AsyncClient, connection: Connection, *, elsewhere: bool = False) -> Amplitude:
    region: str = connection.amplitude_region
    if elsewhere:
        region = next(name for name in REGIONS if name != region)
    return AmplitudeIngestion(
        client,
        connection.amplitude_ingestion_url or REGIONS[region].ingestion,
        _secret(connection.amplitude_api_key),
        connection.amplitude_min_id_length,
    )


def _rest(connection: Connection) -> tuple[str, str, str]:
    """Return the base URL of Amplitude's REST API and both keys."""
    url = connection.amplitude_rest_url or REGIONS[connection.amplitude_region].rest
    return url, _secret(connection.amplitude_api_key), _secret(connection.amplitude_secret_key)


def _by_lane(
    connections: Iterable[Connection], lane: Callable[[Connection], str | None]
) -> dict[str, list[Connection]]:
    """Group connections that share a credential: they share its order and limits."""
    grouped: dict[str, list[Connection]] = {}
    for connection in connections:
        if name := lane(connection):
            grouped.setdefault(name, []).append(connection)
    return grouped
