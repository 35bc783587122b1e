"""Log to standard error, without personal data or secrets."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from connector.errors import ConnectorError
from connector.text.redaction import safe

LONGEST_VALUE = 2_000
REMOVED = "[removed]"
_DROPPED = re.compile(
    r"(?i)(?:^|[_-])(?:body|headers?|tokens?|secrets?|authorization|cookies?|password|api[_-]?key)$"
)
_ESCAPED_PART = re.compile(r"[^\s\"'<>=&?/]+")
_USER_INFO = re.compile(r"(?<=://)[^\s/@]+@")
_API_KEY_HEADER = re.compile(
    r"(?i)\b((?:x-)?api-key|authorization)[\"']?\s*[:=]\s*(?:b?[\"'])?(?:[\w-]+\s+)?[^\s,\"']+"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# These loggers quote request text, and the addresses of alerts; answers and our own lines report both.
_CRITICAL_ONLY = ("python_multipart", "apprise", "urllib3")
_DEEPEST = 6


def configure(level: str, *, secrets: Iterable[str] = (), stream_is_terminal: bool | None = None) -> None:
    """Send the log of this process to standard error: readable on a terminal, else one JSON object a line.

    `level` is debug, info, warning or error. No line may hold one of `secrets`, nor anything that looks like
    an e-mail address or a credential. The standard library's loggers use the same format, from warning up:
    our own lines do not go through them, and below warning libraries write URLs and whole answers.
    """
    lowest = logging.getLevelNamesMapping()[level.upper()]
    terminal = sys.stderr.isatty() if stream_is_terminal is None else stream_is_terminal
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
        Scrubber(secrets),
    ]
    renderer = _readable() if terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _CurrentStderr())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_CurrentStderr())
    handler.setLevel(max(lowest, logging.WARNING))  # whatever level a library gives its logger
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _only_first_line, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(handler.level)
    for name in _CRITICAL_ONLY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Scrubber:
    """Removes secrets, credentials and e-mail addresses from every value at any depth."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(
            sorted({secret for secret in secrets if len(secret) > 3}, key=len, reverse=True)
        )

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Return an event without secret fields, credentials and e-mail addresses."""
        return {
            name: value if name.startswith("_") else self._value(value, 0)
            for name, value in event.items()
            if not _DROPPED.search(name)
        }

    def text(self, text: str) -> str:
        """Return text without e-mail addresses, credentials, known secrets and control characters."""
        text = _CONTROL.sub(" ", text)
        text = _USER_INFO.sub("", _API_KEY_HEADER.sub(r"\1: [secret]", text))
        return safe(_ESCAPED_PART.sub(_without_address, text), self._secrets, LONGEST_VALUE)

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._items(value, depth + 1) if depth < _DEEPEST else REMOVED
        return self.text(described(value) if isinstance(value, BaseException) else str(value))

    def _items(self, items: Mapping[Any, Any] | Iterable[Any], depth: int) -> Any:
        if not isinstance(items, Mapping):
            return [self._value(item, depth) for item in items]
        return {
            self.text(str(name)): self._value(item, depth)
            for name, item in items.items()
            if not _DROPPED.search(str(name))
        }


def _without_address(part: re.Match[str]) -> str:
    # a regex around %40 would be slow: it tries each start in a long text
    return "[address]" if "%40" in part[0] else part[0]


def described(error: BaseException) -> str:
    """Return an exception in one line.

    The result omits quoted text and further lines, because both may hold a person's words.
    """
    name = type(error).__qualname__
    if isinstance(error, ConnectorError):
        return f"{name}: {error.message}"
    if isinstance(error, OSError):
        return f"{name}: {error.strerror or 'failed'}"
    first, _, _ = str(error).partition("\n")
    return f"{name}: {_QUOTED.sub('…', first)}" if first else name


def fault(error: BaseException) -> dict[str, Any]:
    """Return an exception's type, causes and frames, without messages or locals (people's words)."""
    return _traced(error, lambda each: type(each).__qualname__)


def _traced(error: BaseException, name: Callable[[BaseException], str]) -> dict[str, Any]:
    causes: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < 5:
        causes.append(name(cause))
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)[-20:]
    return {
        "exception": name(error),
        **({"causes": causes} if causes else {}),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    error = _exception_of(event.pop("exc_info", None))
    event.pop("stack_info", None)
    if error is None:
        return event
    event.update(_traced(error, described))
    return event


def _exception_of(exc_info: object) -> BaseException | None:
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        return error
    return sys.exc_info()[1] if error else None


def _only_first_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep the first line: asyncio adds the failed task's repr, with people's words, on further lines."""
    event["event"] = str(event.get("event", "")).partition("\n")[0]
    return event


def _readable() -> Processor:
    return structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, sort_keys=False)


class _CurrentStderr:
    """Writes to the current `sys.stderr`, because progress bars replace it for a while.

    What it cannot write is lost: a full disk ends neither the work nor the thread that logs.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
