"""What a client can attach to a conversation: an interview, a launch, and what reaches Amplitude."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, Resource, ResourceTemplate, TextResourceContents

from connector.domain.results.mapping import EVENT_TYPE
from connector.errors import ConnectorError, InvalidInput, NotFound
from connector.service.execution.operation import AnyOperation, Output
from connector.text.redaction import safe
from mcp_server.answers.render import rendered
from mcp_server.answers.untrusted import clean
from mcp_server.host import Request
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
connection's minimum (3 unless set), and it is known whose it is. An anonymous interview never does.

Event `{EVENT_TYPE}`, at the time of the interview's end, with insert_id `koji:INTERVIEW_ID:completed`:
theme_top_1, theme_top_2, themes, sentiment, quality_score, transcript_url, interview_id, koji_project_id, \
launch_id, cohort_id, cohort_name, variant, mode, duration_seconds, respondent_messages.

User properties, of the newest interview: last_interview_at, last_interview_sentiment, \
last_interview_themes, last_interview_quality.
"""


class Read(Protocol):
    """Reads what an operation answers to the caller of a request."""

    def __call__(self, request: Request, name: str, arguments: Mapping[str, object]) -> Awaitable[Output]:
        """Raise `ConnectorError` when it cannot be read."""


async def contents(
    uri: str, request: Request, read: Read, find: Callable[[str], AnyOperation]
) -> TextResourceContents:
    """Return a resource. Raises `MCPError`: -32602 with the address when there is no such resource."""
    if uri == MAPPING_URI:
        return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=_MAPPING)
    name, arguments = _question(uri)
    op = find(name)
    try:
        output = await read(request, name, arguments)
        text, _ = rendered(op, payload(op, arguments), output)
    except (NotFound, InvalidInput) as error:
        raise _error(INVALID_PARAMS, error, uri) from None
    except ConnectorError as error:
        raise _error(INTERNAL_ERROR, error, uri) from None
    return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)


def _question(uri: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(uri)
    found = _READERS.get(parts.netloc) if parts.scheme == "koji" else None
    thing = unquote(parts.path.removeprefix("/"))
    if found is None or not thing:
        raise MCPError(
            INVALID_PARAMS,
            f"There is no such resource; there are {MAPPING_URI}, {INTERVIEW} and {LAUNCH}.",
            {"uri": uri},
        )
    name, argument = found
    told = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return name, {**told, argument: thing}


def _error(code: int, error: ConnectorError, uri: str) -> MCPError:
    return MCPError(code, safe(clean(error.message)), {"uri": uri, "code": error.reason})
