"""Read the responses of Amplitude's cohorts API, and name the error of each refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from connector.amplitude.rest import DEFAULT_WAIT, LOOKED_AT, names_the_key, wait
from connector.domain.launches.launch import Cohort
from connector.errors import ConnectorError, InvalidInput, NotFound, UpstreamRejected, UpstreamUnavailable
from connector.net.client import Reply
from connector.text.json import json_object

# Amplitude does not publish the words of these refusals.
_TOO_LARGE: Final = re.compile(rb"too (?:large|big)|\bsize\b|million|2,?000,?000", re.IGNORECASE)
_UNKNOWN: Final = re.compile(
    rb"not (?:be )?f(?:ou|i)nd|unknown|no such|not exist|invalid cohort", re.IGNORECASE
)


def read_object(body: bytes) -> Mapping[str, Any]:
    """Return Amplitude's JSON object. Raises `UpstreamUnavailable` for anything else."""
    response = json_object(body)
    if response is None:
        raise foreign()
    return response


def read_cohorts(body: bytes) -> list[Cohort]:
    """Return the cohorts of a list, without archived and hidden ones."""
    cohorts = read_object(body).get("cohorts")
    if not isinstance(cohorts, list):
        raise foreign()
    rows = [row for row in cohorts if isinstance(row, dict) and row.get("id")]
    return [_cohort(row) for row in rows if not (row.get("archived") or row.get("hidden"))]


def _cohort(row: Mapping[str, Any]) -> Cohort:
    cohort_id, name, size = str(row["id"]), row.get("name"), row.get("size")
    is_int = isinstance(size, int) and not isinstance(size, bool)
    return Cohort(cohort_id, name if isinstance(name, str) and name else cohort_id, size if is_int else None)


def read_readiness(status: int, body: bytes) -> bool:
    """Tell whether a file is made. Raises `UpstreamUnavailable` (`cohort_job_failed`)."""
    status_text = read_object(body).get("async_status")
    words = status_text.upper().replace("_", " ").split() if isinstance(status_text, str) else []
    if any(word.startswith(("FAIL", "ERROR")) for word in words):
        raise UpstreamUnavailable(
            "Amplitude could not make the cohort's file; it is asked for again.",
            code="cohort_job_failed",
            retry_after=DEFAULT_WAIT,
        )
    if status != 202 and not words:
        raise foreign()
    return status != 202 and words == ["JOB", "COMPLETED"]


def status_refusal(reply: Reply) -> NotFound | None:
    """Return the error of a refused status call, or None if it is not about the request."""
    return gone() if reply.status == 404 else None


def request_refusal(reply: Reply) -> ConnectorError | None:
    """Return the error of a refused request for a cohort's file, or None if it is not about the cohort."""
    is_about_cohort = reply.status == 400 and not names_the_key(reply.body)
    words = reply.body[:LOOKED_AT] if is_about_cohort else b""
    if _TOO_LARGE.search(words):
        detail = "is too large to be downloaded, Amplitude says (above 2,000,000 people)"
        return InvalidInput.of("cohort_id", detail, code="cohort_too_large")
    if reply.status == 404 or _UNKNOWN.search(words):
        return unknown_cohort()
    if reply.status == 429:
        return UpstreamUnavailable(
            "Amplitude allows no more cohort downloads now (60 in 10 minutes, 500 a month).",
            code="cohort_quota",
            retry_after=wait(reply.headers),
        )
    return None


def unknown_cohort() -> NotFound:
    """Return the error for a cohort that Amplitude does not know."""
    return NotFound(
        "cohort_id: Amplitude has no such cohort in this project; list_cohorts shows those that can be "
        "found.",
        code="cohort_not_found",
    )


def gone() -> NotFound:
    """Return the error for a request that Amplitude no longer knows."""
    return NotFound("Amplitude no longer knows this cohort download; ask anew.", code="cohort_request_gone")


def foreign() -> UpstreamUnavailable:
    """Return the error for a response that is not Amplitude's."""
    return UpstreamUnavailable(
        "Amplitude's cohorts gave a response that is not their own; check AMPLITUDE_REST_URL.",
        retry_after=DEFAULT_WAIT,
    )


def target(url: str, location: str) -> str:
    """Return the address of the file. Raises `UpstreamRejected` when `location` is no web address."""
    try:
        address = urljoin(url, location)
        parts = urlsplit(address)
    except ValueError:
        raise redirected() from None
    if not location or parts.scheme not in ("http", "https") or not parts.hostname:
        raise redirected()
    return address


def redirected() -> UpstreamRejected:
    """Return the error for a file at an address that cannot be used."""
    return UpstreamRejected(
        "Amplitude's cohort file redirects to an address that cannot be used.", code="amplitude_redirect"
    )


def storage_refusal(status: int, headers: Mapping[str, str]) -> UpstreamUnavailable:
    """Return the error for a storage that does not hand out the file: its address is valid one minute."""
    return UpstreamUnavailable(
        f"The storage of Amplitude's cohort file answered {status}; it is fetched again.",
        retry_after=min(wait(headers), 5),
    )
