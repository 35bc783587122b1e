"""Exchange codes and refresh tokens for tokens, and revoke them, for clients without a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from mcp.server.auth.json_response import PydanticJSONResponse
from mcp.shared.auth import OAuthToken
from starlette.responses import Response

from connector.context import Context
from connector.domain.access import Grant
from connector.http.auth import Gate, token_digest
from connector.http.endpoint import NO_STORE
from connector.security.caller import SCOPES, Caller
from connector.service import grants
from mcp_server.oauth.answers import OAuthError
from mcp_server.oauth.bearer import holder
from mcp_server.oauth.metadata import require_resource
from mcp_server.oauth.redirects import LOOPBACK

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1
_KINDS: Final = {"authorization_code": ("code", "code"), "refresh_token": ("refresh", "refresh_token")}


async def token(gate: Gate, ctx: Context, form: Mapping[str, Any]) -> Response:
    """Answer a token request (RFC 6749, 4.1.3 and 6). Raises `OAuthError`."""
    kind, field = _KINDS.get(_text(form, "grant_type"), ("", ""))
    if not kind:
        raise OAuthError(
            "grant_type: take authorization_code or refresh_token.", code="unsupported_grant_type"
        )
    require_resource(ctx.settings, form.get("resource"))
    digest, client_id = token_digest(_text(form, field)).hex(), _text(form, "client_id")
    found = await ctx.ledger.grants.find(digest, kind, ctx.clock.now())
    if found is None or found[0].client_id != client_id or await holder(ctx, gate, found[0]) is None:
        raise await _unusable(ctx, client_id, field)
    grant, is_spent = found
    if kind == "code" and not is_spent:
        _check_code(grant, form)
    if not set(str(form.get("scope") or "").split()) & set(SCOPES) <= set(grant.scopes):
        raise OAuthError(f"scope: the person allowed {' '.join(grant.scopes)}.", code="invalid_scope")
    known = replace(ctx, caller=Caller(grant.name, "mcp", frozenset(grant.scopes)))
    pair = await grants.exchange(known, grant, digest)
    if pair is None:
        raise await _unusable(ctx, client_id, field)
    # a registration on this machine is one program; people share those of hosted assistants, and documents
    if kind == "code" and "://" not in client_id and urlsplit(grant.redirect_uri).hostname in LOOPBACK:
        await grants.replace_older(known, grant)
    answer = OAuthToken(
        access_token=pair[0],
        refresh_token=pair[1],
        expires_in=grants.LIVES["access"] // 1_000,
        scope=" ".join(grant.scopes),
    )
    return PydanticJSONResponse(answer, 200, NO_STORE)


async def revoke(ctx: Context, form: Mapping[str, Any]) -> Response:
    """Answer a revocation (RFC 7009); what is unknown, or another client's, is left as it is."""
    digest = token_digest(_text(form, "token")).hex()
    await ctx.ledger.grants.revoke(digest, _text(form, "client_id"))
    return Response(status_code=200, headers=NO_STORE)


def _check_code(grant: Grant, form: Mapping[str, Any]) -> None:
    """Raise `OAuthError` unless a code comes from who asked for it (RFC 7636) and where it was sent to."""
    verifier = _text(form, "code_verifier")
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge, grant.challenge.encode()):
        raise OAuthError("code_verifier: it is not the one of this code.", code="invalid_grant")
    if form.get("redirect_uri", grant.redirect_uri) != grant.redirect_uri:
        raise OAuthError("redirect_uri: the code was sent to another one.", code="invalid_grant")


async def _unusable(ctx: Context, client_id: str, field: str) -> OAuthError:
    """Return the refusal of a code or token: a client that went with its grant is to register again."""
    if "://" not in client_id and await ctx.ledger.grants.client(client_id) is None:
        return OAuthError("client_id: it is not known here; register again.", code="invalid_client")
    message = f"{field}: it is unknown, expired, used or revoked, or another client's; sign in again."
    return OAuthError(message, code="invalid_grant")


def _text(form: Mapping[str, Any], field: str) -> str:
    value = form.get(field)
    if not isinstance(value, str) or not value:
        raise OAuthError(f"{field}: send it, once.", code="invalid_request")
    return value
