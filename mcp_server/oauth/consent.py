"""The page on which a person says yes or no to a client, and may take less than it asks for."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from connector.console.page import HEADERS
from connector.console.visit import Visit
from connector.domain.access import OAuthClient
from connector.errors import InvalidInput
from connector.security.caller import SCOPES
from connector.service import grants
from mcp_server.oauth import clients
from mcp_server.oauth.metadata import issuer, require_resource
from mcp_server.oauth.redirects import LOOPBACK, answered, is_allowed, is_registered, origin

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7636, 4.2)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be shown to a person; `scopes` are those asked for that the person has.

    `named` are the scopes that the request names, in which case the page says which of them are not ticked.
    """

    client: OAuthClient
    redirect_uri: str
    state: str | None
    challenge: str
    scopes: list[str]
    named: list[str]

    def shown(self, visit: Visit) -> str:
        """Return a digest of what the page of this request shows, for this session."""
        facts = (self.client[:2], self.redirect_uri, self.scopes, visit.connections)
        return hmac.new(visit.session.form_token.encode(), repr(facts).encode(), "sha256").hexdigest()


async def show(visit: Visit) -> Response:
    """Ask the person."""
    return _page(visit, await _read(visit))


def _page(visit: Visit, asked: Asked, wrong: str = "") -> Response:
    """Return the page; after a choice that is `wrong`, with what was chosen."""
    is_document = "://" in asked.client.client_id
    host = urlsplit(asked.redirect_uri).hostname or ""
    page = visit.page(
        "consent.html",
        f"Let {asked.client.name} in",
        asked=asked,
        wrong=wrong,
        described_at=asked.client.client_id if is_document else None,
        goes_to="a program on your computer" if host in LOOPBACK else host,
    )
    # the browser holds the form to this policy, also where its answer leads on to
    policy = HEADERS["Content-Security-Policy"]
    allowed = policy.replace("form-action 'self'", f"form-action 'self' {origin(asked.redirect_uri)}")
    page.headers["Content-Security-Policy"] = allowed
    return page


async def act(visit: Visit) -> Response:
    """Send the client a code for what the person chose, or the refusal.

    Raises `InvalidInput` when a client's document says something else than when the page was shown.
    """
    asked = await _read(visit)
    if not hmac.compare_digest(visit.form.get("shown", "").encode(), asked.shown(visit).encode()):
        raise InvalidInput("What this page showed has changed, so nothing was allowed. Look at it again.")
    if visit.form.get("do") == "allow":
        try:
            code = await grants.begin(
                visit.ctx,
                asked.client,
                token_sha256=visit.session.token_sha256,
                scopes=[scope for scope in asked.scopes if f"scope_{scope}" in visit.form],
                connections=[name for name in visit.connections if f"connection_{name}" in visit.form],
                challenge=asked.challenge,
                redirect_uri=asked.redirect_uri,
            )
        except InvalidInput as error:
            return _page(visit, asked, error.message)
        answer = {"code": code}
    else:
        answer = {"error": "access_denied", "error_description": "The person said no."}
    told = {**answer, "state": asked.state, "iss": issuer(visit.ctx.settings)}
    return RedirectResponse(answered(asked.redirect_uri, **told), 303, HEADERS)


async def _read(visit: Visit) -> Asked:
    """Return the request in the URL. Raises `InvalidInput`.

    What is wrong is told to the person and not to the redirect: any client may register, so that an answer
    without a person's yes would make us an open redirector (RFC 9700, 4.11.2).
    """
    query = visit.request.query_params
    given = {name: query.getlist(name) for name in query}
    if twice := next((name for name, values in given.items() if len(values) > 1), None):
        raise InvalidInput.of(twice[:80], "stands twice in the address")
    client = await clients.find(visit.ctx, query.get("client_id", ""))
    known = client.redirect_uris
    redirect_uri = query.get("redirect_uri") or (known[0] if len(known) == 1 else "")
    if not is_allowed(redirect_uri) or not is_registered(redirect_uri, known):
        raise InvalidInput.of("redirect_uri", f"is none that {client.name} has registered")
    if query.get("response_type") != "code":
        raise InvalidInput.of("response_type", "only code is served")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise InvalidInput.of("code_challenge", "PKCE with S256 is needed")
    require_resource(visit.ctx.settings, query.get("resource"))
    named = [scope for scope in SCOPES if scope in query.get("scope", "").split()]
    scopes = [scope for scope in named or SCOPES if visit.may(scope)]
    if not scopes:
        raise InvalidInput.of("scope", "your token has none of the scopes that are asked for")
    return Asked(client, redirect_uri, query.get("state"), challenge, scopes, named)
