"""Name the error of each refusal by Koji, of a read, a start and a complete.

Koji documents the statuses of complete alone; the same ones are taken to mean the same elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)

DEFAULT_WAIT: Final = 5
"""Seconds to wait when Koji does not say how long."""


@dataclass(frozen=True, slots=True)
class KojiRefused:
    """A response that is not a success.

    `said` are Koji's own words as `quoted` returns them. `wait` is in seconds. `base` is the base URL to
    which a redirect leads.
    """

    status: int
    said: str = ""
    wait: int = DEFAULT_WAIT
    base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KojiRequest:
    """A kind of request to Koji.

    `key` says what a 401 means and what to do about it; `other` says it for other 4xx.
    """

    permission: str
    key_code: str
    key: tuple[str, str]
    other_code: str
    other: tuple[str, str]


SESSION: Final = "koji_session"
_KEY: Final = ("Koji refused KOJI_API_KEY", "check it, or make a new key in the project")
READ: Final = KojiRequest(
    permission="interview:read",
    key_code="koji_key",
    key=_KEY,
    other_code=UpstreamRejected.code,
    other=("Koji refused the read", "check interview_id and KOJI_BASE_URL"),
)
START: Final = KojiRequest(
    permission="interview:start",
    key_code="koji_key",
    key=_KEY,
    other_code="refused_by_koji",
    other=("Koji refused to start the interview", "check that the study is published, and KOJI_BASE_URL"),
)
COMPLETE: Final = KojiRequest(
    permission="interview:complete",
    key_code=SESSION,
    key=("Koji refused the API key or the session token", "check KOJI_API_KEY, or end the interview in Koji"),
    other_code=UpstreamRejected.code,
    other=("Koji refused to complete the interview", "check interview_id, reason and KOJI_BASE_URL"),
)


def refusal(refused: KojiRefused, asked: KojiRequest) -> ConnectorError:
    """Return the error of a read or a complete, which may both be repeated without harm."""
    status = refused.status
    if status == 404:
        return not_found()
    if 300 <= status < 400:
        return UpstreamRejected(_redirects(refused), code="koji_redirect")
    if status in (408, 429) or status >= 500:
        return _later(refused)
    return _for_good(refused, asked)


def start_refusal(refused: KojiRefused) -> ConnectorError:
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
    """Return the error of a start with an unknown outcome; `what` begins its sentence."""
    return OutcomeUnknown(f"{what}: whether the interview was started is not known.")


def not_found() -> NotFound:
    """Return the error of an interview that Koji does not know."""
    return NotFound(
        "Koji has no such interview in the project of this key; check interview_id and KOJI_API_KEY.",
        code="not_found_in_koji",
    )


def _redirects(refused: KojiRefused) -> str:
    advice = f"set KOJI_BASE_URL to {refused.base}" if refused.base else "check KOJI_BASE_URL"
    return f"Koji's address redirects: {advice}."


def _later(refused: KojiRefused) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"Koji answered {refused.status}{refused.said}; try again later.", retry_after=refused.wait
    )


def _for_good(refused: KojiRefused, asked: KojiRequest) -> ConnectorError:
    error: type[ConnectorError] = CredentialsRejected
    match refused.status:
        case 401:
            code, (what, next_step) = asked.key_code, asked.key
        case 402:
            error, code = UpstreamRejected, "koji_credits"
            what, next_step = "Koji asks for credits or another plan", "look at the plan in Koji"
        case 403:
            code, next_step = "koji_permission", "add it to the key in Koji"
            what = f"KOJI_API_KEY lacks the permission {asked.permission}"
        case _:
            error, code, (what, next_step) = UpstreamRejected, asked.other_code, asked.other
    return error(f"{what} ({refused.status}){refused.said}: {next_step}.", code=code)
