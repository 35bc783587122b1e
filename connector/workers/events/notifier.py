"""Send messages to the owner's alert addresses with Apprise; an address that fails delays no other."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import structlog
from pydantic import SecretStr

from connector.clock import Clock
from connector.errors import SettingsError
from connector.workers.backoff import backoff

_FIRST_WAIT, _LONGEST_WAIT = 2_000, 600_000  # ms
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Address:
    notify: Callable[..., object]
    failures: int = 0
    rests_until: int = 0
    done: set[Hashable] = field(default_factory=set)


class Notifier:
    """The alert addresses. What an address has already got is remembered until all have it."""

    def __init__(self, urls: Sequence[SecretStr], clock: Clock) -> None:
        self._addresses = [_Address(notify) for notify in _opened(urls)]
        self._clock = clock

    async def send(self, key: Hashable, title: str, body: str) -> bool:
        """Send a message to every address that lacks it and does not rest; tell whether all have it."""
        for position, address in enumerate(self._addresses):
            if key in address.done or self._clock.elapsed() < address.rests_until:
                continue
            if await asyncio.to_thread(address.notify, body=body, title=title, body_format="text"):
                address.failures = 0
                address.done.add(key)
            else:
                address.failures += 1
                wait = backoff(address.failures, first=_FIRST_WAIT, longest=_LONGEST_WAIT)
                address.rests_until = self._clock.elapsed() + wait
                _log.warning("alert_not_sent", position=position + 1, failures=address.failures)
        has_all = all(key in address.done for address in self._addresses)
        if has_all:
            self.forget(key)
        return has_all

    def forget(self, key: Hashable) -> None:
        """Forget a message that will not be sent again."""
        for address in self._addresses:
            address.done.discard(key)


def _opened(urls: Sequence[SecretStr]) -> list[Callable[..., object]]:
    """Return a function for each address. Raises `SettingsError`, which repeats none: they hold secrets."""
    functions: list[Callable[..., object]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what Apprise imports
        try:
            from apprise import Apprise  # noqa: PLC0415 - of the extra `alerts`
        except ImportError:
            raise SettingsError(
                "CONNECTOR_ALERT_URLS: needs the extra alerts: pip install 'koji-amplitude[alerts]'"
            ) from None
        for position, url in enumerate(urls):
            one = Apprise()
            if not one.add(url.get_secret_value()):
                raise SettingsError(
                    f"CONNECTOR_ALERT_URLS: Apprise knows no address like number {position + 1}; "
                    "for example slack://TokenA/TokenB/TokenC"
                )
            functions.append(one.notify)
    return functions
