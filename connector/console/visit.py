"""One request of a signed-in person: what a screen reads, does, and answers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from connector.console.page import HEADERS, page
from connector.console.sessions import Session, Sessions
from connector.context import Context
from connector.domain.results.mapping import iso
from connector.errors import Forbidden, NotFound
from connector.service.execution.execute import execute
from connector.service.execution.operation import AnyOperation
from connector.service.input import validate
from connector.service.views.launch import LaunchOutput


@dataclass(frozen=True, slots=True)
class Visit:
    """A request within a session. `form` is what it posts; `ctx.caller` is the person's token."""

    request: Request
    ctx: Context
    session: Session
    sessions: Sessions
    operations: Mapping[str, AnyOperation]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> Mapping[str, str]:
        """Return the filters in the URL that are not empty."""
        return {name: value for name, value in self.request.query_params.items() if value}

    @property
    def connections(self) -> list[str]:
        """Return the names of the caller's connections. Raises `Forbidden` if there is none."""
        names = self.ctx.caller.visible(self.ctx.settings.connections)
        if not names:
            raise Forbidden("The connections of this token are no longer in the settings.")
        return names

    @property
    def connection(self) -> str:
        """Return the connection of the screen: the one in the URL, else the first."""
        return self.query.get("connection") or self.connections[0]

    def new_key(self) -> str:
        """Return an idempotency key for a form, so that a second click does nothing more."""
        return secrets.token_urlsafe(16)

    def may(self, scope: str) -> bool:
        """Tell whether the session has a scope."""
        return scope in self.ctx.caller.scopes

    def is_expired(self, launch: LaunchOutput) -> bool:
        """Tell whether the time of a plan is over."""
        until = launch.plan_expires_at
        return until is not None and until <= iso(self.ctx.clock.now())

    async def run(self, name: str, **values: Any) -> Any:
        """Return the output of an operation; values that are None or empty count as not given.

        Raises what the operation raises, and `Forbidden` without its scope.
        """
        op = self.operations[name]
        given = {key: value for key, value in values.items() if value not in (None, "")}
        if not op.spans_connections:
            given.setdefault("connection", self.connection)
        payload = validate.read_input(op.input, given)
        return (await execute(self.ctx, op, payload, caller=self.ctx.caller, by_name=self.operations)).output

    async def find(self, name: str, **values: Any) -> tuple[str, Any]:
        """Return the connection that has a thing, and the thing: the one in the URL, else the first.

        Raises `NotFound` when none has it.
        """
        names = [self.query["connection"]] if "connection" in self.query else self.connections
        for connection in names[:-1]:
            try:
                return connection, await self.run(name, connection=connection, **values)
            except NotFound:
                continue
        return names[-1], await self.run(name, connection=names[-1], **values)

    def url(self, path: str | None = None, **query: str | int | None) -> str:
        """Return a URL of the console: this page or another one, with its connection and other filters."""
        given = {"connection": self.connection, **query}
        written = {key: value for key, value in given.items() if value not in (None, "")}
        return f"{self.request.url.path if path is None else path}?{urlencode(written)}"

    def page(self, template: str, title: str, **values: Any) -> Response:
        """Return a page in the frame of the console."""
        values = {"connection": self.connection, **values}
        said = self.sessions.kept(self.request)
        answer = page(template, title=title, visit=self, said=said, **values)
        if said is not None:
            self.sessions.forget(answer)
        return answer

    def done(self, to: str, text: str = "", *, kind: str = "done", secret: str = "") -> Response:
        """Return the answer to every form: another page, which shows `text`, and `secret` if there is one."""
        answer = RedirectResponse(to, 303, HEADERS)
        if text:
            self.sessions.keep(answer, {"text": text, "kind": kind, "secret": secret})
        return answer
