"""What clients read first, and what they read while sign-in is not set up."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.oauth.asking import Asking, refused
from tests.support.harness import World

pytestmark = pytest.mark.e2e

PAGE = {"Origin": "https://inspector.example.com"}
RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"


@pytest.mark.parametrize("path", [RESOURCE, f"{RESOURCE}/mcp"])
async def test_the_resource_is_mcp_exactly(world: World, asking: Asking, path: str) -> None:
    answer = await asking.client.get(path, headers=PAGE)
    base = world.settings.public_url
    assert answer.json()["resource"] == f"{base}/mcp"
    assert answer.json()["authorization_servers"] == [base]
    assert answer.json()["scopes_supported"] == ["read", "write", "send", "erase"]
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_the_server_is_described(world: World, asking: Asking) -> None:
    told = (await asking.client.get(SERVER)).json()
    base = world.settings.public_url
    assert told["issuer"] == base
    for name, path in [
        ("authorization", "authorize"),
        ("token", "token"),
        ("registration", "register"),
        ("revocation", "revoke"),
    ]:
        assert told[f"{name}_endpoint"] == f"{base}/oauth/{path}"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["token_endpoint_auth_methods_supported"] == ["none"]
    assert told["revocation_endpoint_auth_methods_supported"] == ["none"]
    assert told["client_id_metadata_document_supported"] is True
    assert told["authorization_response_iss_parameter_supported"] is True


async def test_people_read_of_the_routes_in_the_reference_and_programs_in_the_metadata(
    asking: Asking,
) -> None:
    page = (Path(__file__).parents[2] / "docs/reference.md").read_text(encoding="utf-8")
    told = (await asking.client.get(SERVER)).json()
    paths = {urlsplit(told[name]).path for name in told if name.endswith("_endpoint")}
    assert len(paths) == 4
    assert all(f" {path}`" in page for path in {*paths, f"{RESOURCE}/mcp", SERVER})
    assert paths.isdisjoint((await asking.client.get("/openapi.json")).json()["paths"])


async def test_a_401_leads_there(world: World, asking: Asking) -> None:
    answer = await asking.list_tools("wrong")
    assert answer.status_code == 401
    found = re.fullmatch('Bearer resource_metadata="(.*)"', answer.headers["www-authenticate"])
    assert found
    assert (await asking.client.get(found[1])).json()["resource"] == f"{world.settings.public_url}/mcp"


@pytest.mark.parametrize("url", ["http://connector.example.com", "https://example.com/connector"])
async def test_a_sentence_says_what_to_set_up(world: World, url: str) -> None:
    await world.restart(PUBLIC_URL=url)
    for path in (RESOURCE, f"{RESOURCE}/mcp", SERVER):
        assert "PUBLIC_URL" in refused(await world.client.get(path), "invalid_request", 404)
    for path in ("/register", "/oauth/register", "/oauth/token", "/token", "/authorize", "/oauth/authorize"):
        sentence = refused(await world.client.post(path, json={}), "invalid_request")
        assert "PUBLIC_URL must be an https address" in sentence
    answer = await world.client.post("/mcp", headers={"Authorization": ""})
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await world.client.get("/openapi.json")).status_code == 200


async def test_pages_of_others_may_call_what_programs_call(asking: Asking) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for path in ("/oauth/register", "/oauth/token", "/oauth/revoke"):
        before = await asking.client.options(path, headers={**PAGE, **asked})
        assert before.headers["access-control-allow-origin"] == "*"
    page = await asking.client.options("/oauth/authorize", headers={**PAGE, **asked})
    assert "access-control-allow-origin" not in page.headers
