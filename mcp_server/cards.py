"""The card that a host shows beside a plan or a launch: an MCP App, one page that loads nothing."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import Resource, TextResourceContents, Tool

from connector.console.words import words
from connector.domain.launches.eligibility import SkipReason
from mcp_server.host import Request

URI: Final = "ui://koji-amplitude/launch.html"
_TOOLS: Final = frozenset({"plan_cohort_launch", "launch_cohort_interviews", "get_launch"})
_PAGE: Final[dict[str, Any]] = {
    "ui": {"csp": {"connectDomains": [], "resourceDomains": []}, "prefersBorder": True}
}
CARD: Final = Resource(
    name="launch-card",
    title="A launch as a card",
    uri=URI,
    description="Shows a plan with a button that launches it, how far a launch is, and its receipt.",
    mime_type=APP_MIME_TYPE,
    _meta=_PAGE,
)


def are_shown(request: Request) -> bool:
    """Tell whether a client shows cards: it declared the extension, or its revision over HTTP cannot tell."""
    capabilities = request.session.client_capabilities
    if capabilities is None:
        return request.request is not None
    settings = (capabilities.extensions or {}).get(EXTENSION_ID)
    return settings is not None and APP_MIME_TYPE in settings.get("mimeTypes", (APP_MIME_TYPE,))


def with_card(tool: Tool) -> Tool:
    """Return the tool, bound to the card if its answer is a launch."""
    return tool.model_copy(update={"meta": {"ui": {"resourceUri": URI}}}) if tool.name in _TOOLS else tool


@cache
def contents() -> TextResourceContents:
    """Return the page, with the reasons in plain words."""
    reasons = json.dumps({reason: words(reason) for reason in SkipReason})
    page = Path(__file__).with_name("card.html").read_text(encoding="utf-8")
    text = page.replace("{/* reasons */}", reasons)
    return TextResourceContents(uri=URI, mime_type=APP_MIME_TYPE, text=text, _meta=_PAGE)
