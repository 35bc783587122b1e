"""A door on each database, and how many examples are made up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.door import Door, open_door
from tests.support import postgres
from tests.support.sqlite import empty_ledger


@pytest.fixture(scope="session")
def sqlite_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("sqlite_door")
    empty_ledger(url := f"sqlite:///{folder}/ledger.db")
    with open_door(folder, url) as door:
        yield door


@pytest.fixture(scope="session")
def postgres_door(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, postgres_template: str
) -> Iterator[Door]:
    with (
        postgres.database(postgres_server, postgres_template) as url,
        open_door(tmp_path_factory.mktemp("postgres_door"), url) as door,
    ):
        yield door


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Yield the door on each database; nothing unforeseen may be in the log afterwards."""
    opened: Door = request.getfixturevalue(f"{request.param}_door")
    with opened.listening():
        yield opened


@pytest.fixture(
    params=[
        pytest.param(8, id="few"),
        pytest.param(300, id="many", marks=pytest.mark.proof),
    ]
)
def examples(request: pytest.FixtureRequest) -> int:
    """Return how many examples are made up."""
    count: int = request.param
    return count
