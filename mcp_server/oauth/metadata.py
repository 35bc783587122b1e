"""PURE: what clients read first, about `/mcp` (RFC 9728) and about who lets them in (RFC 8414)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata

from connector.security.caller import SCOPES
from connector.settings.model import Settings
from mcp_server.oauth.answers import OAuthError
from mcp_server.oauth.redirects import LOOPBACK
from mcp_server.package import TITLE

RESOURCE_PATH: Final = "/.well-known/oauth-protected-resource"
SERVER_PATH: Final = "/.well-known/oauth-authorization-server"
NOT_SET_UP: Final = (
    "Signing in is not set up on this server: PUBLIC_URL must be an https address without a path, or one of "
    "this machine. Until then send a connector token as Authorization: Bearer."
)


def is_set_up(settings: Settings) -> bool:
    """Tell whether people can sign in: over HTTPS, or on this machine."""
    parts = urlsplit(settings.public_url)
    is_secure = parts.scheme == "https" or parts.hostname in LOOPBACK
    return is_secure and parts.path in ("", "/")


def issuer(settings: Settings) -> str:
    """Return the name of the authorization server."""
    return settings.public_url.rstrip("/")


def require_resource(settings: Settings, asked: object) -> None:
    """Raise `OAuthError` for a token that is to open another thing than `/mcp` (RFC 8707)."""
    resource = f"{issuer(settings)}/mcp"
    if asked not in (None, "", resource, f"{resource}/"):
        raise OAuthError(f"resource: tokens are for {resource} alone.", code="invalid_target")


def of_resource(settings: Settings) -> ProtectedResourceMetadata:
    """Describe `/mcp`."""
    base = issuer(settings)
    return ProtectedResourceMetadata.model_validate(
        {
            "resource": f"{base}/mcp",
            "authorization_servers": [base],
            "scopes_supported": list(SCOPES),
            "resource_name": TITLE,
            "resource_documentation": f"{base}/docs",
        }
    )


def of_server(settings: Settings) -> OAuthMetadata:
    """Describe the endpoints of OAuth."""
    base = issuer(settings)
    return OAuthMetadata.model_validate(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/oauth/authorize",
            "token_endpoint": f"{base}/oauth/token",
            "registration_endpoint": f"{base}/oauth/register",
            "revocation_endpoint": f"{base}/oauth/revoke",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "client_id_metadata_document_supported": True,
            "authorization_response_iss_parameter_supported": True,
        }
    )
