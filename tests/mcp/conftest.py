"""One world for a test of the MCP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.clients import SETTINGS
from tests.support.harness import QUICK, World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield a server beside a quick sandbox."""
    settings: dict[str, Any] = SETTINGS
    async with open_world(tmp_path, options=QUICK, **settings) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where a server over stdio keeps its ledger."""
    (tmp_path / "stdio").mkdir()
    return tmp_path / "stdio"
