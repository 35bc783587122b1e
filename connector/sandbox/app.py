"""One server with both stand-ins: Koji at `/koji`, Amplitude at `/amplitude`, and `/control` to steer them.

Use `http://HOST:PORT/koji` as Koji's base URL and `http://HOST:PORT/amplitude` as both of Amplitude's.

The control routes take and answer JSON; a mistake is 422 `{"error"}`, something unknown 404.

- `GET /control/state`: counts of everything. `POST /control/reset`: back to the first state (webhook stays).
- `GET /control/amplitude/events?event_type=&user_id=&offset=&limit=`: `{total, events[]}` in order of
  arrival, each with the user properties as of its arrival (`$identify` too).
- `GET /control/amplitude/users?user_id=`: one user's present properties; without it `{total, users[]}`.
- `GET /control/amplitude/requests?limit=`: the ingestion log `{total, requests[] {received_at, route, bytes,
  events, status, error, fault}}`.
- `GET|POST /control/amplitude/rules`: `blocked_event_types`, `silenced_devices`, `silenced_users`,
  `throttled_ids` (429 that names them), `over_daily_quota`, `throttle_events_per_second` (null: off).
- `POST /control/amplitude/cohorts`: save a cohort `{id, name, members[] {user_id, properties} | user_ids[],
  size?, published?, archived?, hidden?, description?}`.
- `GET|POST|DELETE /control/amplitude/faults`, `…/koji/faults`: one fault or a list of them, see
  `faults.Fault`: `{kind: status | status_after_accept | waf | slow | redirect | not_json | cut |
  cut_after_accept | throttle_unnamed, status?, body?, text?, seconds?, location?, route?, times? (null: until
  cleared)}`.
- `GET|POST /control/koji/interviews`: list; or create one `{state: active | processing | completed,
  interview_id?, external_id?, display_name?, email?, metadata?, mode?, locale?, anonymous?, themes?,
  sentiment?, quality_score? (null: analysis fails), insights?, structured_answers?, duration_seconds?,
  respondent_messages?}`; its webhooks go out. `GET /control/koji/interviews/{id}`: one, with its session
  token.
- `POST /control/koji/interviews/{id}/deliver` `{event?, times?}`: send its webhook (again).
- `GET|PUT|DELETE /control/koji/webhook`: the endpoint, see `options.WebhookEndpoint`; PUT first sends the
  empty verification request unless `verify` is false.
- `GET /control/koji/deliveries?limit=`: every attempt `{delivery_id, event, interview_id, attempt, status,
  error, sent_at, seconds}`, and how many wait.
- `GET /control/koji/calls?seconds=60&route=`: every API call, and `max_in_window`.
- `GET|POST /control/koji/switches`: `permissions`, `credits_exhausted`, `redirect_to`, `read_omits`,
  `link_in_start`, `second_complete_status`, `analysis_seconds`.
- `POST /control/study` `{people?, seed?, pace_per_second?, interviews?, user_ids?}`: enrol synthetic people
  (Amplitude users, by their address or with `user_ids` by ids of their own, and the cohort
  `onboarding-drop-off`) and, unless `interviews` is false, complete an interview with each.
- `POST /control/study/answer` `{limit?}`: the respondents of interviews that were started by API answer them
  to the end, each as the study has it.
- `POST /control/study/behaviour`: what the people do afterwards arrives at Amplitude.
- `GET /control/payoff?step=`: the funnel step cut by theme and sentiment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.sandbox.amplitude.routes import AmplitudeRoutes
from connector.sandbox.control.amplitude import AmplitudeControl
from connector.sandbox.control.koji import KojiControl
from connector.sandbox.control.study import study_routes
from connector.sandbox.koji.routes import KojiRoutes
from connector.sandbox.options import SandboxOptions
from connector.sandbox.state import Sandbox


def create_sandbox(
    options: SandboxOptions | None = None,
    *,
    now: Callable[[], float] = time.time,
    webhook_transport: httpx.AsyncBaseTransport | None = None,
) -> Starlette:
    """Build the server; `state.sandbox` is the `Sandbox` behind it; `now` gives epoch seconds.

    `webhook_transport` takes the webhooks instead of the network: an application in this process, say.
    """
    sandbox = Sandbox(options or SandboxOptions(), now, webhook_transport)
    latency = sandbox.options.latency_seconds
    middleware = [Middleware(Late, seconds=latency)] if latency else []

    def service(path: str, routes: Sequence[Route]) -> Mount:
        return Mount(path, routes=routes, middleware=middleware)

    control = [*study_routes(sandbox), *AmplitudeControl(sandbox).routes(), *KojiControl(sandbox).routes()]
    app = Starlette(
        lifespan=sandbox.lifespan,
        routes=[
            service("/koji", KojiRoutes(sandbox.koji).routes()),
            service("/amplitude", AmplitudeRoutes(sandbox.amplitude).routes()),
            Mount("/control", routes=control),
        ],
    )
    app.state.sandbox = sandbox
    return app


class Late:
    """A service that answers `seconds` later."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then answer."""
        await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)
