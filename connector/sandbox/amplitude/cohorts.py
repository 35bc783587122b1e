"""Keep the cohorts of the Amplitude stand-in: the list, and the download in three steps with its quotas."""

from __future__ import annotations

import csv
import gzip
import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connector.sandbox.amplitude.store import AmplitudeStore
from connector.sandbox.limits import CallWindow
from connector.sandbox.options import SandboxOptions

MAX_DOWNLOAD: Final = 2_000_000
MONTH_SECONDS: Final = 30 * 24 * 3600
FILE_SECONDS: Final = 7 * 24 * 3600
PRESIGNED_SECONDS: Final = 60
NOT_FOUND: Final = "Not found"


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
        copied = ("archived", "description", "id", "name", "published", "hidden")
        row: dict[str, Any] = {
            **{name: getattr(self, name) for name in copied},
            **dict.fromkeys(("lastMod", "createdAt", "lastComputed"), self.last_computed),
            "size": len(self.members) if self.size is None else self.size,
            "appId": 123456,
            "definition": {"version": 3},
            "finished": True,
            "owners": ["owner@example.com"],
            "viewers": [],
            "type": "redshift",
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


class CohortRefusedError(Exception):
    """A download that cannot be had: `status` and the text are what Amplitude answers."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


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
        """Ask for a download. Raises CohortRefusedError when unknown, too large, or over a quota."""
        cohort = self._cohorts.get(cohort_id)
        if cohort is None:
            raise CohortRefusedError(404, NOT_FOUND)
        if (cohort.size or len(cohort.members)) > MAX_DOWNLOAD:
            raise CohortRefusedError(400, "Cohort is too large to download")
        if not self._ten_minutes.take():
            raise CohortRefusedError(429, "Exceeded 60 cohort requests per 10 minutes")
        if not self._month.take():
            raise CohortRefusedError(429, "Exceeded monthly cohort download quota")
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
        """Return a requested download. Raises CohortRefusedError, also 7 days later."""
        job = self._jobs.get(request_id)
        if job is None or self._now() >= job.expires_at:
            raise CohortRefusedError(404, NOT_FOUND)
        return job

    def is_ready(self, job: Job) -> bool:
        """Tell whether the file of a download exists."""
        return self._now() >= job.ready_at

    def presign(self, job: Job) -> str:
        """Return the token of a link that is valid for one minute."""
        token = secrets.token_urlsafe(16)
        self._presigned[token] = (job, self._now() + PRESIGNED_SECONDS)
        return token

    def presigned(self, token: str) -> Job | None:
        """Return the download of such a link, or None if the token is forged or too old."""
        job, until = self._presigned.get(token, (None, 0.0))
        return job if self._now() < until else None

    def file(self, job: Job) -> bytes:
        """Return the quoted CSV, in gzip: `amplitude_id`, `user_id`, then the properties asked for."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(("amplitude_id", "user_id", *job.columns))
        for index, member in enumerate(job.cohort.members):
            user = None if member.user_id is None else self._store.user(member.user_id)
            amplitude_id = 900_000 + index if user is None else user.amplitude_id
            properties = member.properties if user is None else user.properties
            writer.writerow((amplitude_id, member.user_id, *map(properties.get, job.columns)))
        return gzip.compress(text.getvalue().encode(), compresslevel=1)

    def _columns(self, cohort: Cohort, prop_keys: Sequence[str]) -> tuple[str, ...]:
        """Return the properties that were asked for, or else all that a member has."""
        if prop_keys:
            return tuple(prop_keys)
        names: dict[str, None] = {}
        for member in cohort.members:
            names.update(
                dict.fromkeys(
                    self._store.user(member.user_id).properties if member.user_id else member.properties
                )
            )
        return tuple(names)


def parse_cohort(data: Mapping[str, Any]) -> Cohort:
    """Read a cohort from JSON: `id`, `name`, `members[] {user_id, properties?}` or `user_ids[]`, flags.

    Raises ValueError or TypeError that names what is wrong.
    """
    if not data.get("id") or not data.get("name"):
        raise ValueError("A cohort needs id and name.")
    members = [Member(row.get("user_id"), row.get("properties", {})) for row in data.get("members", ())]
    members += [Member(user_id) for user_id in data.get("user_ids", ())]
    others = {key: value for key, value in data.items() if key not in {"members", "user_ids"}}
    return Cohort(members=members, **others)
