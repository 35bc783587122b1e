"""Every error that leaves an operation.

The class says what the caller may do next, not where the error came from::

    ConnectorError
    ├── InvalidInput          correct the named field and call again
    ├── Unauthenticated       send a valid token or signature
    ├── TooManyFailures       send a valid token, or wait `retry_after`
    ├── Forbidden             use a token that has the scope and the connection
    ├── NotFound              the thing does not exist
    ├── Conflict              the thing is not in a state for this; look at it first
    │   └── NotConfigured     set the named setting, then call again
    └── UpstreamError         Koji or Amplitude did not do it
        ├── CredentialsRejected   replace the named credential
        ├── UpstreamRejected      the request itself was refused; repeating it cannot help
        ├── OutcomeUnknown        it may or may not have happened; never repeated silently
        └── UpstreamUnavailable   call again at `retry_after`
    LedgerUnavailable         our own ledger cannot be written; call again at `retry_after`

Messages say what happened, which field, and what to do. They never contain a secret, a person's address or
words of an interview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `pointer` is a JSON pointer into the body ("/interview_id")."""

    pointer: str
    detail: str


class ConnectorError(Exception):
    """Any error of ours. `code` is stable and machine-readable; `retry_after` is whole seconds.

    A class passes on its HTTP status and its exit code to classes below it that have none of their own.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init_subclass__(
        cls, code: str | None = None, http_status: int | None = None, exit_code: int | None = None
    ) -> None:
        cls.code = code or cls.code
        cls.http_status = http_status or cls.http_status
        cls.exit_code = exit_code or cls.exit_code

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = code or type(self).code
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.result = result


class InvalidInput(ConnectorError, code="invalid_input", http_status=422, exit_code=2):
    """The caller sent something that cannot be right."""

    @classmethod
    def of(cls, field: str, detail: str, *, code: str | None = None) -> InvalidInput:
        """Name one wrong field."""
        return cls(f"{field}: {detail}", code=code, errors=[FieldError(f"/{field}", detail)])


class Unauthenticated(ConnectorError, code="unauthenticated", http_status=401, exit_code=4):
    """No token or signature, or a wrong one."""


class TooManyFailures(ConnectorError, code="too_many_failures", http_status=429, exit_code=4):
    """Too many callers without a valid token are being answered."""


class Forbidden(ConnectorError, code="forbidden", http_status=403, exit_code=4):
    """The token is good, but not for this."""


class NotFound(ConnectorError, code="not_found", http_status=404, exit_code=3):
    """The thing that was asked for does not exist."""


class Conflict(ConnectorError, code="conflict", http_status=409, exit_code=3):
    """The thing is not in a state that allows this."""


class NotConfigured(Conflict, code="not_configured", http_status=409, exit_code=2):
    """A setting that this needs is not set."""

    @classmethod
    def of(cls, setting: str, connection: str, then: str = "set it and call again") -> NotConfigured:
        """Name the setting of a connection; `then` says what follows or what to do."""
        return cls(f"{setting} is not set for the connection {connection}; {then}.")


class UpstreamError(ConnectorError, code="upstream_error"):
    """Koji or Amplitude did not do what we asked."""


class CredentialsRejected(UpstreamError, code="credentials_rejected", http_status=502, exit_code=4):
    """Koji or Amplitude refused our key."""


class UpstreamRejected(UpstreamError, code="upstream_refused", http_status=502, exit_code=5):
    """Koji or Amplitude refused the request for good."""


class OutcomeUnknown(UpstreamError, code="outcome_unknown", http_status=502, exit_code=5):
    """The call was cut: it may or may not have had its effect."""


class UpstreamUnavailable(UpstreamError, code="upstream_unavailable", http_status=503, exit_code=5):
    """Koji or Amplitude cannot be reached or asks us to wait."""


class LedgerUnavailable(ConnectorError, code="store_unavailable", http_status=503, exit_code=6):
    """Our own ledger cannot be written or read now."""


class SettingsError(Exception):
    """A setting is malformed; the message is one line that names it, what is wrong and an example."""


class SettingMissing(SettingsError):
    """A setting that the start needs is not set."""
