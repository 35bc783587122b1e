"""Engines that share what they compile, as all transactions of one long-lived server do.

Each test opens a ledger, and would compile every statement anew: a quarter of its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Dialect, Engine, create_engine, event

from connector.ledger.db import dialect

_ready: dict[str, Dialect] = {}
_compiled: dict[Any, Any] = {}


@contextmanager
def shared() -> Iterator[None]:
    """Let the engines of this process share a dialect for each kind of database, and what it compiled."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dialect, "create_engine", _shared)
        yield


def _shared(*args: Any, **options: Any) -> Engine:
    engine = create_engine(*args, **options)
    engine.update_execution_options(compiled_cache=_compiled)
    name, own = engine.dialect.name, engine.dialect
    if name in _ready:
        engine.dialect = _ready[name]
    else:  # a dialect is complete once it has asked a database for its version
        event.listen(engine, "connect", lambda *_: _ready.setdefault(name, own))
    return engine
