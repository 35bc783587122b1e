"""Operations that do next to nothing, for tests of what surfaces make of any operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connector.service.execution.operation import AnyOperation, Example, Operation


def toy(run: Callable[..., Any], **values: Any) -> AnyOperation:
    """Return an operation that is named like its function, with words that say nothing."""
    name = run.__name__
    texts = {
        "subject": "results",
        "title": name,
        "summary": "For tests.",
        "guidance": "For tests.",
        "example": Example({}, {}),
    }
    return Operation(**{"name": name, **texts, **values}, run=run)
