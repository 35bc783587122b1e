"""Answers leave in one piece."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from connector.http.server.limits import JoiningTransport

pytestmark = pytest.mark.unit


class Wire:
    """A transport that remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


async def test_what_one_step_writes_is_one_write() -> None:
    wire = Wire()
    joining = JoiningTransport(cast("asyncio.Transport", wire), asyncio.get_running_loop())
    joining.write(b"head ")
    joining.write(b"body")
    assert wire.calls == []
    await asyncio.sleep(0)
    assert wire.calls == [b"head body"]
    joining.write(b"more")
    await asyncio.sleep(0)
    assert wire.calls == [b"head body", b"more"]


async def test_closing_loses_nothing() -> None:
    wire = Wire()
    joining = JoiningTransport(cast("asyncio.Transport", wire), asyncio.get_running_loop())
    joining.write(b"last words")
    joining.close()
    await asyncio.sleep(0)
    assert wire.calls == [b"last words", "close"]
    assert joining.is_closing()


async def test_a_caller_that_left_meanwhile_is_sent_nothing() -> None:
    wire = Wire()
    joining = JoiningTransport(cast("asyncio.Transport", wire), asyncio.get_running_loop())
    joining.write(b"too late")
    wire.close()  # the loop noticed that the connection is gone
    await asyncio.sleep(0)
    assert wire.calls == ["close"]
