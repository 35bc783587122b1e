"""Name the error of each refusal by Koji, of a read, a start and a complete.

Koji documents the statuses of complete alone; the same ones are taken to mean the same elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from connector import errors
from connector.domain.launches.launch import KOJI_REDIRECT


class RateLimited(errors.UpstreamUnavailable):
    """Koji works, but takes no more calls of the key for a while."""


DEFAULT_WAIT: Final = 5  # seconds, where Koji does not say how long


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


class KojiRequest(NamedTuple):
    """A kind of request to Koji: the permission that it needs, and the errors of its refusals.

    `key` is the code of a 401, what it means and what to do about it; `other` the same for other 4xx.
    """

    permission: str
    key: tuple[str, str, str]
    other: tuple[str, str, str]


SESSION: Final = "koji_session"
_KEY: Final = ("koji_key", "Koji refused KOJI_API_KEY", "check it, or make a new key in the project")
_CREDITS: Final = ("koji_credits", "Koji asks for credits or another plan", "look at the plan in Koji")
READ: Final = KojiRequest(
    "interview:read",
    _KEY,
    (errors.UpstreamRejected.code, "Koji refused the read", "check interview_id and KOJI_BASE_URL"),
)
START: Final = KojiRequest(
    "interview:start",
    _KEY,
    (
        "refused_by_koji",
        "Koji refused to start the interview",
        "check that the study is published, and KOJI_BASE_URL",
    ),
)
COMPLETE: Final = KojiRequest(
    "interview:complete",
    (
        SESSION,
        "Koji refused the API key or the session token",
        "check KOJI_API_KEY, or end the interview in Koji",
    ),
    (
        errors.UpstreamRejected.code,
        "Koji refused to complete the interview",
        "check interview_id, reason and KOJI_BASE_URL",
    ),
)


def refusal(refused: KojiRefused, asked: KojiRequest) -> errors.ConnectorError:
    """Return the error of a refused read or complete; both may be repeated without harm."""
    status = refused.status
    if status == 404:
        return not_found()
    if 300 <= status < 400:
        return errors.UpstreamRejected(_redirects(refused), code=KOJI_REDIRECT)
    if status in (408, 429) or status >= 500:
        return _later(refused)
    return _for_good(refused, asked)


def start_refusal(refused: KojiRefused) -> errors.ConnectorError:
    """Return the error of a start: `OutcomeUnknown` unless the answer shows that nothing was started."""
    status = refused.status
    if status != 303 and 300 <= status < 400:  # 303 is the answer to a request that was processed
        return errors.UpstreamUnavailable(_redirects(refused), code=KOJI_REDIRECT, retry_after=refused.wait)
    if status in (429, 503):
        return _later(refused)
    if status == 408 or not 400 <= status < 500:
        return start_in_doubt(f"Koji answered {status}{refused.said}")
    return _for_good(refused, START)


def start_in_doubt(what: str) -> errors.OutcomeUnknown:
    """Return the error of a start with an unknown outcome; `what` begins its sentence."""
    return errors.OutcomeUnknown(f"{what}: whether the interview was started is not known.")


def not_found() -> errors.NotFound:
    """Return the error of an interview that Koji does not know."""
    return errors.NotFound(
        "Koji has no such interview in the project of this key; check interview_id and KOJI_API_KEY.",
        code="not_found_in_koji",
    )


def _redirects(refused: KojiRefused) -> str:
    advice = f"set KOJI_BASE_URL to {refused.base}" if refused.base else "check KOJI_BASE_URL"
    return f"Koji's address redirects: {advice}."


def _later(refused: KojiRefused) -> errors.UpstreamUnavailable:
    error = RateLimited if refused.status == 429 else errors.UpstreamUnavailable
    return error(f"Koji answered {refused.status}{refused.said}; try again later.", retry_after=refused.wait)


def _for_good(refused: KojiRefused, asked: KojiRequest) -> errors.ConnectorError:
    lacking = f"KOJI_API_KEY lacks the permission {asked.permission}"
    by_status: dict[int, tuple[type[errors.ConnectorError], tuple[str, str, str]]] = {
        401: (errors.CredentialsRejected, asked.key),
        402: (errors.UpstreamRejected, _CREDITS),
        403: (errors.CredentialsRejected, ("koji_permission", lacking, "add it to the key in Koji")),
    }
    error, (code, what, next_step) = by_status.get(refused.status, (errors.UpstreamRejected, asked.other))
    return error(f"{what} ({refused.status}){refused.said}: {next_step}.", code=code)
