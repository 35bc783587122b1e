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
from connector.errors import ConnectorError, InvalidInput
from connector.http.endpoint import NO_STORE
from connector.net.target_client import PrivateTarget, TargetClient, wrong_with
from connector.text.invisible import visible
from connector.text.json import parse_json
from connector.text.redaction import cut
from mcp_server.oauth.answers import OAuthError
from mcp_server.oauth.redirects import is_allowed

FETCH_SECONDS: Final = 10.0
_LONGEST_NAME: Final = 60


async def register(ctx: Context, fields: Mapping[str, Any]) -> Response:
    """Store a client and return what was registered; a method of authentication other than none is replaced.

    Raises `OAuthError`.
    """
    now = ctx.clock.now()
    client, metadata = _read(f"client_{secrets.token_urlsafe(16)}", fields, now)
    if not await ctx.ledger.grants.register(client, now):
        raise OAuthError("temporarily_unavailable", "There are too many clients with live grants.", 503)
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
    reason = wrong_with(client_id, allow_private=allow_private)
    if reason is None and (urlsplit(client_id).path in ("", "/") or "#" in client_id or "/." in client_id):
        reason = "must have a path, and neither a fragment nor dots as a segment"
    if reason is not None:
        raise InvalidInput.of("client_id", reason)
    targets = TargetClient(allow_private=allow_private)
    try:
        document = parse_json(await targets.get(client_id, FETCH_SECONDS))
    except (PrivateTarget, httpcore.ConnectError) as error:
        raise InvalidInput.of("client_id", "leads to no public address that answers") from error
    except (
        ConnectorError,
        OSError,
        ValueError,
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
    ) as error:
        raise InvalidInput.of(
            "client_id", "no JSON document of at most 16 KiB came from there in 10 s"
        ) from error
    finally:
        await targets.close()
    if not isinstance(document, dict) or document.get("client_id") != client_id:
        raise InvalidInput.of("client_id", "the document there names another client_id")
    if "client_secret" in document or str(document.get("token_endpoint_auth_method")).startswith(
        "client_secret"
    ):
        raise InvalidInput.of("client_id", "the document there uses a shared secret")
    try:
        return _read(client_id, document, ctx.clock.now())[0]
    except OAuthError as error:
        raise InvalidInput.of("client_id", f"the document there is refused: {error}") from error


def _read(client_id: str, fields: Mapping[str, Any], now: int) -> tuple[OAuthClient, OAuthClientMetadata]:
    """Return a client of its metadata. Raises `OAuthError`."""
    try:
        metadata = OAuthClientMetadata.model_validate(
            {"redirect_uris": None, **fields, "token_endpoint_auth_method": "none"}
        )
    except ValidationError as error:
        raise OAuthError("invalid_client_metadata", stringify_pydantic_error(error)) from error
    # as they were written, which is how requests will name them
    uris = tuple(uri for uri in fields.get("redirect_uris") or () if isinstance(uri, str))
    if not uris or not all(map(is_allowed, uris)):
        message = (
            "redirect_uris: take https, or http on 127.0.0.1, [::1] or localhost; no user name, no fragment."
        )
        raise OAuthError("invalid_redirect_uri", message)
    if "authorization_code" not in metadata.grant_types or "code" not in metadata.response_types:
        raise OAuthError(
            "invalid_client_metadata", "grant_types: only authorization_code with refresh_token is served."
        )
    name = "".join(filter(str.isprintable, visible(metadata.client_name or "")))
    return OAuthClient(
        client_id, cut(name.strip(), _LONGEST_NAME) or "An unnamed client", uris, now
    ), metadata
