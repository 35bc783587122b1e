"""Cohorts of the Amplitude stand-in: the list, and the download in three steps with its quotas."""

from __future__ import annotations

import csv
import gzip
import io
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connector.sandbox.amplitude.store import AmplitudeStore
from connector.sandbox.limits import CallWindow
from connector.sandbox.options import SandboxOptions

MAX_DOWNLOAD: Final = 2_000_000
MONTH_SECONDS: Final = 30 * 24 * 3600
FILE_SECONDS: Final = 7 * 24 * 3600
PRESIGNED_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Member:
    """One person in a cohort; `user_id` is None for a person known by device only."""

    user_id: str | None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Cohort:
    """One saved cohort. `size` may differ from the members, as a stale count does."""

    id: str
    name: str
    members: Sequence[Member]
    size: int | None = None
    published: bool = True
    archived: bool = False
    hidden: bool = False
    description: str = ""
    last_computed: int = 0

    def as_json(self, *, sync_info: bool) -> dict[str, Any]:
        """Return the row of `GET /api/3/cohorts`; its times are epoch seconds."""
        row: dict[str, Any] = {
            "appId": 123456,
            "archived": self.archived,
            "definition": {"version": 3},
            "description": self.description,
            "finished": True,
            "id": self.id,
            "name": self.name,
            "owners": ["owner@example.com"],
            "viewers": [],
            "published": self.published,
            "size": len(self.members) if self.size is None else self.size,
            "type": "redshift",
            "lastMod": self.last_computed,
            "createdAt": self.last_computed,
            "lastComputed": self.last_computed,
            "hidden": self.hidden,
            "metadata": None,
            "is_predictive": False,
            "is_official_content": False,
            "location_id": None,
            "shortcut_ids": [],
        }
        return {**row, "syncMetadata": []} if sync_info else row


@dataclass(slots=True)
class Job:
    """One requested download."""

    request_id: str
    cohort: Cohort
    columns: tuple[str, ...]
    ready_at: float
    expires_at: float


class QuotaExceededError(Exception):
    """A download quota is used up; the text is what Amplitude would say."""


class UnknownCohortError(Exception):
    """There is no such cohort or request."""


class CohortTooLargeError(Exception):
    """More than 2,000,000 members cannot be downloaded."""


class Cohorts:
    """The cohorts of one project. Each download request counts against both quotas."""

    def __init__(self, options: SandboxOptions, now: Callable[[], float], store: AmplitudeStore) -> None:
        self._options = options
        self._now = now
        self._store = store
        self._month = CallWindow(options.cohort_downloads_per_month, MONTH_SECONDS, now)
        self._ten_minutes = CallWindow(options.cohort_downloads_per_ten_minutes, 600, now)
        self.reset()

    def reset(self) -> None:
        """Forget cohorts, downloads and what was used of the quotas."""
        self._cohorts: dict[str, Cohort] = {}
        self._jobs: dict[str, Job] = {}
        self._presigned: dict[str, tuple[Job, float]] = {}
        self._month.reset()
        self._ten_minutes.reset()

    def put(self, cohort: Cohort) -> None:
        """Save a cohort; its members become users of the project, with their properties."""
        cohort.last_computed = cohort.last_computed or int(self._now())
        self._cohorts[cohort.id] = cohort
        for member in cohort.members:
            if member.user_id is not None:
                user = self._store.user(member.user_id)
                user.properties = {**member.properties, **user.properties}

    def listed(self, *, sync_info: bool) -> list[dict[str, Any]]:
        """List the discoverable (published) cohorts."""
        return [cohort.as_json(sync_info=sync_info) for cohort in self._cohorts.values() if cohort.published]

    def request(self, cohort_id: str, *, props: bool, prop_keys: Sequence[str]) -> Job:
        """Ask for a download. Raises UnknownCohortError, CohortTooLargeError, QuotaExceededError."""
        cohort = self._cohorts.get(cohort_id)
        if cohort is None:
            raise UnknownCohortError(cohort_id)
        if (cohort.size or len(cohort.members)) > MAX_DOWNLOAD:
            raise CohortTooLargeError(cohort_id)
        if not self._ten_minutes.take():
            raise QuotaExceededError("Exceeded 60 cohort requests per 10 minutes")
        if not self._month.take():
            raise QuotaExceededError("Exceeded monthly cohort download quota")
        now = self._now()
        job = Job(
            request_id=secrets.token_hex(6),
            cohort=cohort,
            columns=self._columns(cohort, prop_keys) if props else (),
            ready_at=now + self._options.cohort_job_seconds,
            expires_at=now + FILE_SECONDS,
        )
        self._jobs[job.request_id] = job
        return job

    def job(self, request_id: str) -> Job:
        """Return a requested download. Raises UnknownCohortError, also 7 days later."""
        job = self._jobs.get(request_id)
        if job is None or self._now() >= job.expires_at:
            raise UnknownCohortError(request_id)
        return job

    def is_ready(self, job: Job) -> bool:
        """Tell whether the file of a download exists."""
        return self._now() >= job.ready_at

    def presign(self, job: Job) -> str:
        """Return the token of a link that is valid for one minute."""
        token = secrets.token_urlsafe(16)
        self._presigned[token] = (job, self._now() + PRESIGNED_SECONDS)
        return token

    def presigned(self, token: str) -> Job:
        """Return the download of such a link. Raises UnknownCohortError when forged or too old."""
        job, until = self._presigned.get(token, (None, 0.0))
        if job is None or self._now() >= until:
            raise UnknownCohortError(token)
        return job

    def file(self, job: Job) -> bytes:
        """Return the quoted CSV, in gzip: `amplitude_id`, `user_id`, then the properties asked for."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(("amplitude_id", "user_id", *job.columns))
        writer.writerows(self._rows(job))
        return gzip.compress(text.getvalue().encode(), compresslevel=1)

    def _rows(self, job: Job) -> Iterator[list[Any]]:
        for index, member in enumerate(job.cohort.members):
            if member.user_id is None:
                yield [900_000 + index, "", *(_cell(member.properties.get(key)) for key in job.columns)]
            else:
                user = self._store.user(member.user_id)
                cells = (_cell(user.properties.get(key)) for key in job.columns)
                yield [user.amplitude_id, member.user_id, *cells]

    def _columns(self, cohort: Cohort, prop_keys: Sequence[str]) -> tuple[str, ...]:
        if prop_keys:
            return tuple(prop_keys)
        names: dict[str, None] = {}
        for member in cohort.members:
            held = self._store.user(member.user_id).properties if member.user_id else member.properties
            names.update(dict.fromkeys(held))
        return tuple(names)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


COHORT_FIELDS: Final = frozenset(
    {"id", "name", "members", "user_ids", "size", "published", "archived", "hidden", "description"}
)


def parse_cohort(data: Mapping[str, Any]) -> Cohort:
    """Read a cohort from JSON: `id`, `name`, `members[] {user_id, properties?}` or `user_ids[]`, flags.

    Raises ValueError that names what is wrong.
    """
    if not data.get("id") or not data.get("name"):
        raise ValueError("A cohort needs id and name.")
    members = [Member(row.get("user_id"), row.get("properties", {})) for row in data.get("members", ())]
    members += [Member(user_id) for user_id in data.get("user_ids", ())]
    rest = {key: value for key, value in data.items() if key not in {"members", "user_ids"}}
    return Cohort(members=members, **rest)
