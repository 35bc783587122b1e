"""Clients: registered by themselves (RFC 7591), or described by the document at their client id."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
from mcp.server.auth.errors import stringify_pydantic_error
from mcp.server.auth.json_response import PydanticJSONResponse
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from pydantic import ValidationError
from starlette.responses import Response

from connector.context import Context
from connector.domain.access import OAuthClient
from connector.errors import ConnectorError, InvalidInput, LedgerUnavailable
from connector.http.endpoint import NO_STORE
from connector.net.target_client import AT_THE_DOOR, PrivateTarget, TargetClient, wrong_with
from connector.text.invisible import visible
from connector.text.json import parse_json
from connector.text.redaction import cut
from mcp_server.oauth.answers import OAuthError
from mcp_server.oauth.redirects import is_allowed

FETCH_SECONDS: Final = 10.0
_LONGEST_NAME: Final = 60
_NOT_FETCHED: Final = (
    *(PrivateTarget, OSError, httpcore.TimeoutException),
    *(httpcore.NetworkError, httpcore.ProtocolError),
)


async def register(ctx: Context, fields: Mapping[str, Any]) -> Response:
    """Store a client and return what was registered; a method of authentication other than none is replaced.

    Raises `OAuthError`.
    """
    now = ctx.clock.now()
    client, metadata = _read(f"client_{secrets.token_urlsafe(16)}", fields, now)
    if not await ctx.ledger.grants.register(client, now):
        raise LedgerUnavailable("1,000 clients are in use or new; try again in ten minutes.")
    ours = {
        "client_id": client.client_id,
        "client_id_issued_at": now // 1_000,
        "token_endpoint_auth_method": "none",
    }
    registered = OAuthClientInformationFull.model_validate({**metadata.model_dump(), **ours})
    return PydanticJSONResponse(registered, 201, NO_STORE)


async def find(ctx: Context, client_id: str) -> OAuthClient:
    """Return the client of an id; one that is an address is fetched. Raises `InvalidInput`."""
    if client_id.startswith(("https://", "http://")):
        return await _fetched(ctx, client_id)
    client = await ctx.ledger.grants.client(client_id)
    if client is None:
        message = "is not known here, or not any more; remove the connector in the assistant and add it again"
        raise InvalidInput.of("client_id", message)
    return client


async def _fetched(ctx: Context, client_id: str) -> OAuthClient:
    """Return the client that the document at its id describes, fetched once, without redirects."""
    allow_private = ctx.settings.connector_allow_private_targets
    if reason := wrong_with(client_id, allow_private=allow_private):
        raise InvalidInput.of("client_id", reason)
    path = urlsplit(client_id).path
    if path in ("", "/") or "#" in client_id or {".", ".."} & set(path.split("/")):
        raise InvalidInput.of("client_id", "must have a path, and neither a fragment nor dots as a segment")
    targets = TargetClient(AT_THE_DOOR, ctx.caller.name, allow_private=allow_private)
    try:
        document = parse_json(await targets.get(client_id, FETCH_SECONDS))
    except (*_NOT_FETCHED, ValueError, ConnectorError) as error:
        reason = "no JSON document of at most 16 KiB came from a public address there in 10 s"
        raise InvalidInput.of("client_id", reason) from error
    finally:
        await targets.close()
    if not isinstance(document, dict) or document.get("client_id") != client_id:
        raise InvalidInput.of("client_id", "the document there names another client_id")
    method = str(document.get("token_endpoint_auth_method"))
    if "client_secret" in document or method.startswith("client_secret"):
        raise InvalidInput.of("client_id", "the document there uses a shared secret")
    return _read(client_id, document, ctx.clock.now())[0]


def _read(client_id: str, fields: Mapping[str, Any], now: int) -> tuple[OAuthClient, OAuthClientMetadata]:
    """Return a client of its metadata. Raises `OAuthError`."""
    public = {"redirect_uris": None, **fields, "token_endpoint_auth_method": "none"}
    try:
        metadata = OAuthClientMetadata.model_validate(public)
    except ValidationError as error:
        raise OAuthError(stringify_pydantic_error(error), code="invalid_client_metadata") from error
    # as they were written, which is how requests will name them
    uris = tuple(uri for uri in fields.get("redirect_uris") or () if isinstance(uri, str))
    if not uris or not all(map(is_allowed, uris)):
        message = "redirect_uris: take https, or http on this machine; no user name, no fragment."
        raise OAuthError(message, code="invalid_redirect_uri")
    if "authorization_code" not in metadata.grant_types or "code" not in metadata.response_types:
        message = "grant_types: only authorization_code with refresh_token is served."
        raise OAuthError(message, code="invalid_client_metadata")
    shown = "".join(filter(str.isprintable, visible(metadata.client_name or ""))).strip()
    return OAuthClient(client_id, cut(shown, _LONGEST_NAME) or "An unnamed client", uris, now), metadata
