"""Which redirects a client may have, and which of a client's an address names."""

from __future__ import annotations

import pytest

from mcp_server.oauth.redirects import CURSOR, answered, is_allowed, is_registered, origin

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/connector/oauth/abc?x=1",
        "http://127.0.0.1:3000/callback",
        "http://localhost/callback",
        "http://[::1]:8000/",
        CURSOR,
    ],
)
def test_allowed(uri: str) -> None:
    assert is_allowed(uri)
    assert is_registered(uri, [uri])


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://example.com/callback",
        "http://127.0.0.1.example.com/callback",
        "http://localhost@example.com/callback",
        "https://example.com/callback#fragment",
        "https://user@example.com/callback",
        "https://example.com\\@other.example.com/",
        "https://example.com/a b",
        "https://example.com/\n",
        "https:///callback",
        "https://example.com:99999/",
        "https://exämple.com/",
        "cursor://another/oauth/callback",
        "CURSOR://anysphere.cursor-mcp/oauth/callback",
        "myapp://callback",
        "//example.com/callback",
        f"https://example.com/{'x' * 2_048}",
        "",
    ],
)
def test_not_allowed(uri: str) -> None:
    assert not is_allowed(uri)


@pytest.mark.parametrize(
    ("uri", "registered", "matches"),
    [
        ("http://127.0.0.1:1234/cb", "http://127.0.0.1/cb", True),
        ("http://localhost:1234/cb", "http://localhost:9/cb", True),
        ("http://[::1]:1234/cb", "http://[::1]/cb", True),
        ("http://localhost:1234/cb", "http://127.0.0.1:1234/cb", False),
        ("http://localhost:1234/other", "http://localhost/cb", False),
        ("http://localhost:1234/cb?x=1", "http://localhost/cb", False),
        ("https://localhost:1234/cb", "https://localhost/cb", False),
        ("https://example.com:444/cb", "https://example.com/cb", False),
        ("https://example.com/cb/../evil", "https://example.com/cb", False),
        ("https://example.com/cb?next=https://evil.example", "https://example.com/cb", False),
        ("http://user@localhost:1/cb", "http://localhost/cb", False),
    ],
)
def test_only_the_port_of_loopback_is_free(uri: str, registered: str, *, matches: bool) -> None:
    assert is_registered(uri, [registered]) is matches


def test_an_answer_keeps_the_query() -> None:
    assert answered("https://a.example/cb", code="x y", state=None) == "https://a.example/cb?code=x+y"
    assert answered("https://a.example/cb?a=&b=1", iss="i") == "https://a.example/cb?a=&b=1&iss=i"


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("https://A.example:8443/cb?x", "https://a.example:8443"),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000"),
        ("http://[::1]:3000/cb", "http:"),
        (CURSOR, "cursor:"),
    ],
)
def test_a_policy_can_name_every_redirect(uri: str, named: str) -> None:
    assert origin(uri) == named
