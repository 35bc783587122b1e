"""Stand in for the machine's resolver, so that the DNS of some names falls silent."""

from __future__ import annotations

import socket
from collections import Counter
from threading import Event
from typing import Any

import pytest


class Resolver:
    """Leads names below silent.example to this machine, but gives no answer until `released` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: Counter[str] = Counter()
        self.released = Event()
        self._answer = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, *args: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        self.asked[name] += 1
        if name.endswith("silent.example"):
            self.released.wait()
            name = "127.0.0.1"
        return self._answer(name, *args, **more)
