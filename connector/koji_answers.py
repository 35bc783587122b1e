"""What Koji's answers mean to a read, a start and a complete.

Koji documents the statuses of complete alone and the shape of no error; the same statuses are taken to mean
the same elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from connector.values import text, word

DEFAULT_WAIT: Final = 5
"""Seconds to wait when Koji does not say how long."""

_LONGEST_QUOTE: Final = 120
_LOOKED_AT: Final = 500  # longer than a quote, so that nothing slips through half cut
# Koji's sentences are quoted; anything with an address, a key or an id in it is not.
_PLAIN: Final = re.compile(r"(?:(?!\S{24})[A-Za-z0-9 .,:;'_()!?-])+")
_ID_KEYS: Final = ("interview_id", "interviewId", "conversation_id", "id")
_TOKEN_KEYS: Final = ("session_token", "sessionToken")
_LINK_KEYS: Final = ("interview_url", "interview_link", "link", "url")


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is no success.

    `said` are Koji's own words as `quoted` returns them, `wait` seconds, `base` the base URL to which a
    redirect leads.
    """

    status: int
    said: str = ""
    wait: int = DEFAULT_WAIT
    base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of Koji. The pairs say what was refused and what to do, on a 401 and on any other 4xx."""

    permission: str
    key_code: str
    key: tuple[str, str]
    other_code: str
    other: tuple[str, str]


_KEY: Final = ("Koji refused KOJI_API_KEY", "check it, or make a new key in the project")
READ: Final = Asked(
    permission="interview:read",
    key_code="koji_key",
    key=_KEY,
    other_code=UpstreamRejected.code,
    other=("Koji refused the read", "check interview_id and KOJI_BASE_URL"),
)
START: Final = Asked(
    permission="interview:start",
    key_code="koji_key",
    key=_KEY,
    other_code="refused_by_koji",
    other=("Koji refused to start the interview", "check that the study is published, and KOJI_BASE_URL"),
)
COMPLETE: Final = Asked(
    permission="interview:complete",
    key_code="koji_session",
    key=("Koji refused the API key or the session token", "check KOJI_API_KEY, or end the interview in Koji"),
    other_code=UpstreamRejected.code,
    other=("Koji refused to complete the interview", "check interview_id, reason and KOJI_BASE_URL"),
)


def refusal(refused: Refused, asked: Asked) -> ConnectorError:
    """Return the error of a read or a complete, which may both be repeated without harm."""
    status = refused.status
    if status == 404:
        return not_found()
    if 300 <= status < 400:
        return UpstreamRejected(_redirects(refused), code="koji_redirect")
    if status in (408, 429) or status >= 500:
        return _later(refused)
    return _for_good(refused, asked)


def start_refusal(refused: Refused) -> ConnectorError:
    """Return the error of a start: `OutcomeUnknown` unless the answer shows that nothing was started."""
    status = refused.status
    if 300 <= status < 400:
        return UpstreamUnavailable(_redirects(refused), code="koji_redirect", retry_after=refused.wait)
    if status in (429, 503):
        return _later(refused)
    if status == 408 or not 400 <= status < 500:
        return start_in_doubt(f"Koji answered {status}{refused.said}")
    return _for_good(refused, START)


def start_in_doubt(what: str) -> OutcomeUnknown:
    """Return the error of a start of which nobody knows whether it happened; `what` begins its sentence."""
    return OutcomeUnknown(f"{what}: whether the interview was started is not known.")


def not_found() -> NotFound:
    """Return the error of an interview that Koji does not know."""
    return NotFound(
        "Koji has no such interview in the project of this key; check interview_id and KOJI_API_KEY.",
        code="not_found_in_koji",
    )


def json_object(body: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object that a body is; None when it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def started(answer: Mapping[str, Any]) -> Started:
    """Return what an answer to a start tells, in any shape that is plausible; what it lacks is None.

    Koji documents the names `interview_id` and `session_token` alone, and no link at all.
    """
    inner = (answer.get("data"), answer.get("interview"))
    places = [answer, *(place for place in inner if isinstance(place, dict))]

    def found(keys: Sequence[str]) -> list[Any]:
        return [place.get(key) for place in places for key in keys]

    links = filter(None, map(word, found(_LINK_KEYS)))
    return Started(
        interview_id=next(filter(None, map(text, found(_ID_KEYS))), None),
        session_token=next(filter(None, map(word, found(_TOKEN_KEYS))), None),
        link=next((link for link in links if link.startswith(("http://", "https://"))), None),
    )


def completed(answer: Mapping[str, Any] | None, interview_id: str) -> Mapping[str, Any]:
    """Return what a 409 to a complete tells. Koji: it carries the same data as a success."""
    answer = answer or {}
    if answer.get("interview_id"):
        return answer
    return {**answer, "interview_id": interview_id, "status": "completed"}


def quoted(body: bytes, hidden: Sequence[str]) -> str:
    """Return Koji's own words in brackets, or nothing when there are none or a hidden text is among them."""
    problem = json_object(body) or {}
    error = problem.get("error")
    nested = (error.get("message"), error.get("code")) if isinstance(error, dict) else (error,)
    for said in (*nested, problem.get("message"), problem.get("detail")):
        if isinstance(said, str) and said.strip():
            words = " ".join(said.split())[:_LOOKED_AT]
            plain = _PLAIN.fullmatch(words) and not any(one in words for one in hidden)
            return f' ("{words[:_LONGEST_QUOTE]}")' if plain else ""
    return ""


def _redirects(refused: Refused) -> str:
    advice = f"set KOJI_BASE_URL to {refused.base}" if refused.base else "check KOJI_BASE_URL"
    return f"Koji's address redirects: {advice}."


def _later(refused: Refused) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"Koji answered {refused.status}{refused.said}; try again later.", retry_after=refused.wait
    )


def _for_good(refused: Refused, asked: Asked) -> ConnectorError:
    error: type[ConnectorError] = CredentialsRejected
    match refused.status:
        case 401:
            code, (what, next_step) = asked.key_code, asked.key
        case 402:
            error, code = UpstreamRejected, "koji_credits"
            what, next_step = "Koji asks for credits or another plan", "look at the plan in Koji"
        case 403:
            code = "koji_permission"
            what, next_step = (
                f"KOJI_API_KEY lacks the permission {asked.permission}",
                "add it to the key in Koji",
            )
        case _:
            error, code, (what, next_step) = UpstreamRejected, asked.other_code, asked.other
    return error(f"{what} ({refused.status}){refused.said}: {next_step}.", code=code)
