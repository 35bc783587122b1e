"""What Koji's answers mean: which are final, which may be asked again, and what was started."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.inviting import Started
from connector.retry_after import retry_after_seconds
from connector.values import text

DEFAULT_WAIT: Final = 5
_LONGEST_QUOTE: Final = 120
# Koji's sentences are quoted; anything with an address, a key or an id in it is not.
_PLAIN: Final = re.compile(r"(?:(?!\S{24})[A-Za-z0-9 .,:;'_()!?-])+")
_IDS: Final = ("interview_id", "interviewId", "conversation_id", "id")
_TOKENS: Final = ("session_token", "sessionToken")
_LINKS: Final = ("interview_url", "interview_link", "link", "url")
_SURELY_NOT: Final = frozenset({429, 503})
_UNKNOWN: Final = frozenset({408})

_KEY: Final = (CredentialsRejected, "koji_key", "Koji refused KOJI_API_KEY", "check it, or make a new key")
_CREDITS: Final = (
    UpstreamRejected,
    "koji_credits",
    "Koji asks for credits or another plan",
    "look at the plan in Koji",
)
_FINAL: Final[Mapping[int, tuple[type[ConnectorError], str, str, str]]] = MappingProxyType(
    {401: _KEY, 402: _CREDITS}
)


def malformed_key() -> CredentialsRejected:
    """Return the error for a key that no HTTP header can carry."""
    return CredentialsRejected(
        "KOJI_API_KEY has characters that no HTTP header can carry; copy the key again.", code="koji_key"
    )


def not_found() -> NotFound:
    """Return the error for an interview that Koji does not know."""
    return NotFound(
        "Koji has no such interview in the project of this key; check interview_id and KOJI_API_KEY.",
        code="not_found_in_koji",
    )


def redirected(base: str | None) -> str:
    """Return what to say of a redirect; `base` is the address to set, where it is known."""
    advice = f"set KOJI_BASE_URL to {base}" if base else "check KOJI_BASE_URL"
    return f"Koji's address redirects: {advice}."


def refusal(
    status: int, headers: Mapping[str, str], said: str, *, permission: str, what: str
) -> ConnectorError:
    """Return the error for an answer to a call that may be repeated.

    `said` are Koji's words in brackets, `what` the thing refused, `permission` what the key needs for it.
    """
    if status in (408, 429) or status >= 500:
        return unavailable(status, headers, said)
    if status == 403:
        return CredentialsRejected(
            f"KOJI_API_KEY lacks the permission {permission} (403){said}: add it to the key in Koji.",
            code="koji_permission",
        )
    error, code, words, advice = _FINAL.get(
        status, (UpstreamRejected, UpstreamRejected.code, f"Koji refused {what}", "check interview_id")
    )
    return error(f"{words} ({status}){said}: {advice}.", code=code)


def unavailable(status: int, headers: Mapping[str, str], said: str) -> UpstreamUnavailable:
    """Return the error for an answer that asks to come again."""
    wait = retry_after_seconds(headers, time.time())
    return UpstreamUnavailable(
        f"Koji answered {status}{said}; try again later.",
        retry_after=DEFAULT_WAIT if wait is None else wait,
    )


def start_refusal(status: int, headers: Mapping[str, str], said: str) -> ConnectorError:
    """Return the error for an answer to a start, which must not be repeated when it may have happened.

    429 and 503 say that it did not; 408 and every other 5xx leave it open; the rest is Koji's last word.
    """
    if status in _SURELY_NOT:
        return unavailable(status, headers, said)
    if status in _UNKNOWN or status >= 500:
        return OutcomeUnknown(f"Koji answered {status}{said}; it may or may not have started the interview.")
    if status in (401, 402, 403):
        return refusal(status, headers, said, permission="interview:start", what="the start")
    return UpstreamRejected(f"Koji refused this person's start ({status}){said}.", code="refused_by_koji")


def read_object(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_start(body: bytes) -> Started:
    """Return what was started. Raises `OutcomeUnknown` when the answer does not say."""
    told = read_object(body)
    if told is None:
        raise OutcomeUnknown("Koji accepted a start with an answer that is not a JSON object.")
    found = list(_sections(told))
    link = next((one for one in _texts(found, _LINKS) if one.startswith(("http://", "https://"))), None)
    return Started(next(_texts(found, _IDS), None), next(_texts(found, _TOKENS), None), link)


def _sections(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield told
    for name in ("data", "interview"):
        if isinstance(inner := told.get(name), dict):
            yield inner


def _texts(sections: list[dict[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        for section in sections:
            if found := text(section.get(name)):
                yield found


def quoted(body: bytes, api_key: str) -> str:
    """Return Koji's own words in brackets, or nothing. Koji does not publish the shape of its errors."""
    problem = read_object(body)
    if problem is None:
        return ""
    error = problem.get("error")
    nested = (error.get("message"), error.get("code")) if isinstance(error, dict) else (error,)
    for one in (*nested, problem.get("message"), problem.get("detail")):
        if isinstance(one, str) and one.strip():
            words = " ".join(one.split())[:_LONGEST_QUOTE]
            return f' ("{words}")' if _PLAIN.fullmatch(words) and api_key not in words else ""
    return ""
