"""What a client can attach to a conversation: an interview, a launch, and what reaches Amplitude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, Resource, ResourceTemplate, TextResourceContents

from connector.domain.results.mapping import EVENT_TYPE
from connector.errors import ConnectorError, InvalidInput, NotFound
from connector.text.redaction import safe
from mcp_server import cards
from mcp_server.answers.render import rendered
from mcp_server.answers.untrusted import one_line
from mcp_server.host import Request
from mcp_server.tools.call import Calling
from mcp_server.tools.catalogue import payload

MARKDOWN: Final = "text/markdown"
MAPPING_URI: Final = "koji://mapping"
INTERVIEW: Final = "koji://interviews/{interview_id}"
LAUNCH: Final = "koji://launches/{launch_id}"
_CONNECTION = "Another connection than the default stands behind it, as ?connection=name."

RESOURCES: Final = (
    Resource(
        name="mapping",
        title="What reaches Amplitude",
        uri=MAPPING_URI,
        description=f"Which of an interview's results become {EVENT_TYPE} and user properties, and when.",
        mime_type=MARKDOWN,
    ),
)
TEMPLATES: Final = (
    ResourceTemplate(
        name="interview",
        title="An interview's analysis",
        uri_template=INTERVIEW,
        description=f"Themes, sentiment and Koji's summary, as get_interview_analysis. {_CONNECTION}",
        mime_type=MARKDOWN,
    ),
    ResourceTemplate(
        name="launch",
        title="A launch",
        uri_template=LAUNCH,
        description=f"How far a launch is, and its first people, as get_launch. {_CONNECTION}",
        mime_type=MARKDOWN,
    ),
)

_READERS: Final[Mapping[str, tuple[str, str]]] = {
    "interviews": ("get_interview_analysis", "interview_id"),
    "launches": ("get_launch", "launch_id"),
}
_MAPPING = f"""# What reaches Amplitude

An interview reaches Amplitude once, when its analysis is ready, its quality score is at least the \
connection's minimum (3 unless set), and its respondent is known. An anonymous interview never does.

Event `{EVENT_TYPE}`, at the time of the interview's end, with insert_id `koji:INTERVIEW_ID:completed`:
theme_top_1, theme_top_2, themes, sentiment, quality_score, transcript_url, interview_id, koji_project_id, \
launch_id, cohort_id, cohort_name, variant, mode, duration_seconds, respondent_messages.

User properties, of the newest interview: last_interview_at, last_interview_sentiment, \
last_interview_themes, last_interview_quality.
"""


async def contents(uri: str, request: Request, calling: Calling) -> TextResourceContents:
    """Return a resource. Raises `MCPError`: -32602 with the address when there is no such resource."""
    if uri == MAPPING_URI:
        return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=_MAPPING)
    if uri == cards.URI:
        return cards.contents()
    name, arguments = _call_for(uri)
    op = calling.by_name[name]
    try:
        output = await calling.read(request, name, arguments)
        text, _ = rendered(op, payload(op, arguments), output)
    except ConnectorError as error:
        code = INVALID_PARAMS if isinstance(error, NotFound | InvalidInput) else INTERNAL_ERROR
        raise MCPError(code, safe(one_line(error.message)), {"uri": uri, "code": error.reason}) from None
    return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)


def parts_of(address: str) -> tuple[str, str, dict[str, str]] | None:
    """Return the kind, the id and the query of a `koji:` address, or None for any other text."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    found = unquote(parts.path.removeprefix("/"))
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return (parts.netloc, found, query) if parts.scheme == "koji" and found else None


def _call_for(uri: str) -> tuple[str, dict[str, str]]:
    """Return the operation that reads a resource, and its arguments."""
    parts = parts_of(uri)
    if parts is None or parts[0] not in _READERS:
        message = f"There is no such resource; there are {MAPPING_URI}, {INTERVIEW} and {LAUNCH}."
        raise MCPError(INVALID_PARAMS, message, {"uri": uri})
    kind, found, query = parts
    name, argument = _READERS[kind]
    return name, {**query, argument: found}
