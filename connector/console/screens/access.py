"""Access: tokens, for a session with every scope; grants of assistants; and the audit log."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from connector.console.visit import Visit
from connector.security.caller import SCOPES
from connector.service import grants, tokens

_FILTERS: Final = ("token", "surface", "operation", "since", "until")


async def show(visit: Visit) -> Response:
    """Show the tokens, the grants and one page of the audit log."""
    where = {name: visit.query.get(name) for name in _FILTERS}
    log = await visit.run("list_audit", **where, cursor=visit.query.get("cursor"))
    may = tokens.may_manage(visit.ctx.caller)
    known: Any = await tokens.listed(visit.ctx) if may else []
    more = {"may": may, "tokens": known, "grants": await grants.listed(visit.ctx), "scopes": SCOPES}
    return visit.page("access.html", "Access", log=log, where=where, **more)


async def act(visit: Visit) -> Response:
    """Create a token, which the next page shows once, revoke one, or end a grant."""
    name = visit.form.get("name", "")
    if visit.form.get("do") == "revoke":
        return visit.done(visit.url(), await tokens.revoke(visit.ctx, name))
    if visit.form.get("do") == "end":
        await grants.end(visit.ctx, name)
        return visit.done(visit.url(), f"The grant {name} has ended.")
    scopes = [scope for scope in SCOPES if f"scope_{scope}" in visit.form]
    only = [one for one in visit.connections if f"connection_{one}" in visit.form]
    secret = await tokens.create(visit.ctx, name, scopes, only or None)
    return visit.done(visit.url(), f"The token {name}, shown only now:", secret=secret)
