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
    StoreUnavailable          our own ledger cannot be written; call again at `retry_after`

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
    """Any error of ours. `code` is stable and machine-readable; `retry_after` is whole seconds."""

    code: ClassVar[str] = "error"

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


class InvalidInput(ConnectorError):
    """The caller sent something that cannot be right."""

    code = "invalid_input"

    @classmethod
    def of(cls, field: str, detail: str, *, code: str | None = None) -> InvalidInput:
        """Name one wrong field."""
        return cls(f"{field}: {detail}", code=code, errors=[FieldError(f"/{field}", detail)])


class Unauthenticated(ConnectorError):
    """No token or signature, or a wrong one."""

    code = "unauthenticated"


class TooManyFailures(ConnectorError):
    """Too many callers without a valid token are being answered."""

    code = "too_many_failures"


class Forbidden(ConnectorError):
    """The token is good, but not for this."""

    code = "forbidden"


class NotFound(ConnectorError):
    """The thing that was asked for does not exist."""

    code = "not_found"


class Conflict(ConnectorError):
    """The thing is not in a state that allows this."""

    code = "conflict"


class NotConfigured(Conflict):
    """A setting that this needs is not set."""

    code = "not_configured"

    @classmethod
    def of(cls, setting: str, connection: str, then: str = "set it and call again") -> NotConfigured:
        """Name the setting of a connection; `then` says what follows or what to do."""
        return cls(f"{setting} is not set for the connection {connection}; {then}.")


class UpstreamError(ConnectorError):
    """Koji or Amplitude did not do what we asked."""

    code = "upstream_error"


class CredentialsRejected(UpstreamError):
    """Koji or Amplitude refused our key."""

    code = "credentials_rejected"


class UpstreamRejected(UpstreamError):
    """Koji or Amplitude refused the request for good."""

    code = "upstream_refused"


class OutcomeUnknown(UpstreamError):
    """The call was cut: it may or may not have had its effect."""

    code = "outcome_unknown"


class UpstreamUnavailable(UpstreamError):
    """Koji or Amplitude cannot be reached or asks us to wait."""

    code = "upstream_unavailable"


class StoreUnavailable(ConnectorError):
    """Our own store cannot be written or read now."""

    code = "store_unavailable"


class SettingsError(Exception):
    """A setting is malformed; the message is one line that names it, what is wrong and an example."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an error class means on each surface."""

    http_status: int
    exit_code: int


CONSEQUENCES: Mapping[type[ConnectorError], Consequence] = {
    InvalidInput: Consequence(422, 2),
    Unauthenticated: Consequence(401, 4),
    TooManyFailures: Consequence(429, 4),
    Forbidden: Consequence(403, 4),
    NotFound: Consequence(404, 3),
    Conflict: Consequence(409, 3),
    NotConfigured: Consequence(409, 2),
    CredentialsRejected: Consequence(502, 4),
    UpstreamRejected: Consequence(502, 5),
    OutcomeUnknown: Consequence(502, 5),
    UpstreamUnavailable: Consequence(503, 5),
    StoreUnavailable: Consequence(503, 6),
}


def consequence(error: ConnectorError) -> Consequence:
    """Return the row of the nearest class in the tree."""
    for cls in type(error).__mro__:
        if cls in CONSEQUENCES:
            return CONSEQUENCES[cls]
    return Consequence(500, 1)
