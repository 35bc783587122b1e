"""Stand-ins of both services for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sandbox_server import running


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """Run the sandbox and yield its address."""
    with running() as base:
        yield base
