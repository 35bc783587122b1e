"""Ledgers for stories: one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.support import postgres, sqlite


@pytest.fixture(params=["sqlite"])
def ledger_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Yield a function that makes an empty ledger and returns its URL."""
    with ExitStack() as made:
        numbers = count()
        if request.param == "postgres":
            server = request.getfixturevalue("postgres_server")
            template = request.getfixturevalue("postgres_template")
            yield lambda: made.enter_context(postgres.database(server, template))
            return

        def new_file() -> str:
            url = f"sqlite:///{tmp_path}/{next(numbers)}.db"
            sqlite.empty_ledger(url)
            return url

        yield new_file
