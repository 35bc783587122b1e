"""What the suite counted, printed at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Counted = Callable[[str], None]


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Counted:
    """Return a function that takes a sentence about what a test counted; it is printed if the test passes."""
    return lambda sentence: record_property("counted", sentence)
